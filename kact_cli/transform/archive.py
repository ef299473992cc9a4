"""A chain over the tensors of an archive, one after another, each as a .npy of its size is done.

A stored member is a range of the file, read at offsets; a deflated one comes as through a pipe. A
.npy on either side is an archive of one member. What is not selected is copied as bytes.
"""

from __future__ import annotations

import contextlib

from kact_cli.chain import Chain
from kact_cli.errors import DataError, UsageError
from kact_cli.files.descriptors import PIPE_BYTES
from kact_cli.files.source import Source
from kact_cli.files.target import Target
from kact_cli.formats.archive import ArchiveReader, ArchiveWriter, Result
from kact_cli.formats.declared import Format
from kact_cli.formats.npy import Header
from kact_cli.formats.open import archive_reader, archive_writer
from kact_cli.messages import listed
from kact_cli.options import Options
from kact_cli.transform.tensor import TensorJob, run_job


def transform(
    chain: Chain,
    source: Source,
    found: Format,
    target: Target,
    wanted: Format,
    options: Options,
) -> None:
    """Apply `chain` to the selected members of the archive `source` and write it to `target`."""
    if "table" in (found.kind, wanted.kind):
        table, other = (found, wanted) if found.kind == "table" else (wanted, found)
        raise UsageError(
            f"{source.name}: {other.name} holds tensors and {table.name} a table; "
            "go by way of a .npy of one of them"
        )
    with contextlib.ExitStack() as stack:
        if found.kind == "archive" and source.size is None:
            options.observer.note(f"{source.name} is spooled: {found.name} is not read in order")
            source = stack.enter_context(source.spool())
        reader = archive_reader(found, source, options)
        writing = archive_writer(wanted)
        chosen = reader.selected(options)
        jobs = {
            i: TensorJob.of(chain, reader.tensor(i), reader.called(i), options, writing.head)
            for i in chosen
        }
        options.observer.note(f"members: {listed([reader.members[i].name for i in chosen])}")
        kept = range(len(reader.members)) if wanted.kind == "archive" else chosen
        results = [_result(reader, i, jobs.get(i), writing, same=found is wanted) for i in kept]
        work = sum(job.work_bytes for job in jobs.values())
        options.observer.start(work, max(job.plan.passes for job in jobs.values()))
        writer = writing(target, results, options, reader)
        try:
            for number, result in enumerate(results):
                if result.header is None:
                    writer.copy(number)
                    continue
                tensor = reader.open(result.source)
                with contextlib.ExitStack() as opened:
                    if tensor is not source:
                        opened.callback(tensor.close)
                    out = opened.enter_context(writer.tensor(number))
                    if not out.seekable:  # what is written there cannot be taken back
                        reader.verify(result.source, tensor, options.jobs)
                    if result.source in jobs:
                        run_job(jobs[result.source], tensor, out, options)
                        if tensor.after(jobs[result.source].header.end):
                            raise DataError(f"{tensor.name} goes on after its tensor")
                    else:
                        out.write(memoryview(writing.head(result.header)))
                        _copy(tensor, reader.tensor(result.source), out)
                    if out.seekable:
                        reader.verify(result.source, tensor, options.jobs)
            writer.close()
        except BaseException:
            writer.abandon()
            raise


def _result(
    reader: ArchiveReader,
    index: int,
    job: TensorJob | None,
    writing: type[ArchiveWriter],
    *,
    same: bool,
) -> Result:
    """What becomes of a member: computed, copied as it lies, or put into another format."""
    name = reader.members[index].name
    if job is not None:
        return Result(name, index, job.result)
    if same:
        return Result(name, index, None)
    header = reader.tensor(index)
    return Result(name, index, header._replace(offset=len(writing.head(header))))


def _copy(source: Source, header: Header, out: Target) -> None:
    """Copy a tensor's elements as they are."""
    buffer = memoryview(bytearray(PIPE_BYTES))
    for at in range(header.offset, header.end, PIPE_BYTES):
        part = buffer[: header.end - at]
        if source.read_at(part, at) < len(part):
            raise DataError(f"{source.name} is truncated: it ends before the tensor does")
        out.write(part)

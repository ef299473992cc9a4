"""What the man pages say beside what the commands declare: rules, files, places, examples.

`generate.py` prints it. A section is questions with their answers; what is between backquotes is
typed.
"""

from __future__ import annotations

from kact_cli.batch.manifest import NAME
from kact_cli.cleanup import PLACES
from kact_cli.cli import EXAMPLES as FIRST
from kact_cli.cli.quantize import RULE
from kact_cli.errors import ExitCode
from kact_cli.files.object_store import SCHEMES
from kact_cli.formats.csv.spelling import NULL_NAMES
from kact_cli.formats.declared import FORMATS

QUANTISE = "kact apply sigmoid --quantize-out 1/256,-128,int8 logits.npy q.npy"

Rules = tuple[tuple[str, str], ...]

KINDS = {
    "tensor": "One tensor",
    "table": "A table",
    "archive": "An archive of tensors",
    "arrow": "A table, Arrow's file",
    "arrows": "A table, Arrow's stream",
}
CSV = (
    (
        "What is a header?",
        "The first record, where its cells are names over numbers. A number on top of a column of "
        "numbers means that there is no header, unless the record is 0, 1, 2, ... or 1, 2, 3, ... "
        "(after an empty cell or not), or is quoted while the numbers are not, as pandas and R "
        "write names. Where columns disagree, and where numbers on top may be names (years, a run "
        "beside a name, over fractions, beside an empty cell over an index), kact asks for "
        "`--header` or `--no-header`. Without a header the columns are c0, c1, ... "
        "Blank lines, lines that begin with # and a line `sep=;` before it are kept.",
    ),
    (
        "What is a number?",
        "`1`, `-1.5`, `.5`, `1e-3`, `nan`, `inf`, in quotes and between spaces or not, and with "
        "`--decimal ,` numbers such as `1,5`, which are written so too. Thousands separators, "
        "`1D0` and other signs than - and + are not read. In a column of numbers any other cell is "
        "an error that names its record and line, at the start of the file and at its end.",
    ),
    (
        "What is null?",
        f"{', '.join(NULL_NAMES)}, in upper or lower case, and what `--null` names, letter by "
        "letter. A null takes no part and is written back as it was. nan is a number.",
    ),
    (
        "What takes part?",
        "The columns whose first cells are numbers, some with a fraction or an exponent. Columns "
        "of whole numbers are left out with a warning, or taken where there are no others; "
        "`--columns` and `--exclude` decide. A fraction that turns up later in a column that was "
        "left out is an error; of whole numbers in one that was empty a warning says so. Text is "
        "not computed, nor are whole numbers with zeros in front, as 007; where most of a column "
        "of text are numbers, or numbers among signs as 50%, $5, 3 kg and [0.1, 0.2], a warning "
        "says so.",
    ),
    (
        "What is an identifier?",
        "A column of whole numbers called id, index or uuid, something_id or Unnamed: 0, or a "
        "first column without a name, or one that counts: 0, 1, 2, ... or from any other number "
        "on. It is left out without a word.",
    ),
    (
        "What does --suffix add?",
        "Cells after the last one of each record, and names after the last one of the header, "
        "quoted where all names are; without a header, cells alone. An added cell is what would "
        "have replaced its source; for a null it is empty, or NA between runs of spaces. A name "
        "that there is already is an error.",
    ),
    (
        "What is kept?",
        "Every byte that is not a computed number: quotes, line endings, delimiters (a comma, tab, "
        "semicolon, bar or run of spaces, which is found). A computed number is the shortest text "
        "that reads back the same (`1.0`, `1e+16`, `1.5e-7`), or as `--float-format` says. "
        "Compressed files are read by their first bytes and written by the suffix of their name: "
        ".gz at level 6, .zst at zstd's default.",
    ),
)
"""The rules of CSV, as one asks for them."""

MAIN: dict[str, Rules] = {
    "FORMATS": (
        *(
            (f.name, f"{KINDS.get(f.name, KINDS[f.kind])}: {', '.join(f.suffixes)}")
            for f in FORMATS
        ),
        (
            "How is a format found?",
            "That of an input by its first bytes, whatever its name is, unless `--from` says it. "
            "That of an output by its suffix, or by `--to`; without either it is the input's. A "
            "pipe has no suffix, and one that says nothing (.txt, .tmp) keeps the input's format; "
            "under one of something else (.pkl) nothing is written without `--to`. A CSV is the "
            "last resort: text that is nothing else. "
            "A tensor to a table gives a column for each value of a row, c0, c1, ...; a table to "
            "a tensor drops the columns that are not computed, with a warning.",
        ),
        (
            "What may have to be spooled?",
            "A pipe whose format is not read in order (Parquet, an Arrow file, an archive), or "
            "that has to be read twice (a softmax down more rows than a chunk holds), is written "
            "to a temporary file first. `kact explain` says when, and how large.",
        ),
    ),
    "WHAT TAKES PART": (
        (
            "",
            "In a .npy the whole tensor. In a table the columns of floating-point numbers, of "
            "decimals, and of lists of them; where there are none, those of integers. `--columns` "
            "names others: integers, booleans, fields of structs (`struct.field`). `--exclude` "
            "leaves columns unchanged. The index of a DataFrame, as pandas writes it, is named as "
            "well. In an archive every tensor of floating-point numbers; the checksums of .npz are "
            "faster with `pip install 'kact-cli[npz]'`.",
        ),
        (
            "Across the columns",
            "The columns of numbers are one tensor of shape (rows, columns): a softmax along its "
            "last axis, the default, makes the numbers of each row sum to 1, and along axis 0 "
            "those of each column. A column of lists is a tensor of its own: there a softmax "
            "works within each list.",
        ),
        (
            "What is kept?",
            "Everything else: order, names, text, types, metadata, row groups, codecs. In "
            "CSV and Parquet what is not computed stays the same bytes. With "
            "`--suffix TEXT` the columns stay as well, and the results are added after the last.",
        ),
    ),
    "NULLS": (
        (
            "",
            "A null stays null and takes no part: a softmax is over the other values of its row, "
            "column or list. NaN is a number: NaN in is NaN out, and a softmax that has one in it "
            "is NaN. A .npy has no nulls: there they become NaN, and one of integers is refused.",
        ),
    ),
    "QUANTISED TENSORS": (
        (
            "Which scale and zero point?",
            "Those of the model, where there is one. Else, for numbers from A to B (0 is among "
            "them, and `kact inspect --stats` shows both) in integers from L to M (-128 to 127 in "
            f"int8, 0 to 255 in uint8), for a scale S and a zero point Z: {RULE}. For results "
            "in int8 whose bounds are known the examples have what TFLite prescribes, a power of "
            "two: 1/256 and -128 for sigmoid and softmax, which lie between 0 and 1, and 1/128 and "
            "0 for tanh, between -1 and 1 (1 itself is saturated: 127):"
            f"\n\n\b\n{QUANTISE}",
        ),
    ),
    "CSV": CSV,
    "GOLDEN VECTORS": (
        (
            "What is an input?",
            "`kact values` writes every finite value of a dtype of 8 or 16 bits (with `--all` each "
            "bit pattern, NaN and infinities too, and all 2^32 of float32), or a sample with every "
            "exponent and both signs. `--chain` adds the inputs at which a chain bends, overflows "
            "or is hard to round. The same command writes the same bytes; a .safetensors keeps the "
            "seed.",
        ),
        (
            "What is expected?",
            "`kact chain --exact` gives float16, bfloat16 and float32 results, rounded once. With "
            "`--quantize-in` and `--quantize-out` integers of 8 or 16 bits are dequantised, "
            "(q - zero) * scale, computed exactly, rounded to float32, divided by the scale, "
            "rounded half to even (`--rounding half-away` as TFLite does) and saturated. A scale "
            "for each channel is a file: `scales.npy,0,axis=1`. ONNX Runtime gives the same "
            "integers of 8 bits, and of 16 bits but where its float32 function is off (1 in 500, "
            "by one).",
        ),
        (
            "What is built in?",
            "`kact lut` writes what `kact chain` gives for each input: a C header, .hex for "
            "$readmemh, .npy or .csv.",
        ),
        (
            "What is right?",
            "`kact compare` has percentiles and a histogram of ULP, the worst pairs, and with "
            "`--input` errors by range of the input; `--p99-ulp`, `--max-ulp`, `--rtol` and "
            "`--atol` decide its exit code, `--json` is for machines, and `--output error.svg` "
            "draws the error over the input.",
        ),
    ),
    "FILES": (
        (
            "The output",
            "The output is written under a temporary name, `.kact-*.tmp`, in the directory where "
            "it is to be, and renamed at the end: it is whole or absent. Its space is reserved "
            "before any work. What a killed run has left is removed by the next one that "
            "writes the same output. Symbolic links are followed, modes kept; a device or a "
            "named pipe is written to, and never replaced. "
            "`--fsync` makes it survive a loss of power.",
        ),
        (
            "Temporary files",
            "Pipes that are spooled and objects of a store are in `kact-*.stage`, in TMPDIR, "
            f"TEMP or TMP, or in {' or '.join(PLACES)}. These files are removed at the end, "
            "and after a signal, but not after SIGKILL.",
        ),
        (NAME, "`kact batch` keeps this file in its output directories; see kact-batch(1)."),
    ),
    "SYSTEMS": (
        (
            "",
            "Linux and macOS; on Windows in WSL. On Linux alone: worker processes are forked where "
            "that is safe, which starts them in a tenth of the time; pipes are made larger; the "
            "quota and the affinity of cores are known, by which `--jobs` is chosen; some kernels "
            "use AVX-512. Where a system reserves no space (macOS), a full disk is met while "
            "writing, and the output is absent all the same.",
        ),
        (
            "Completion",
            '`eval "$(_KACT_COMPLETE=bash_source kact)"` in ~/.bashrc, `zsh_source` in ~/.zshrc '
            "after compinit, `_KACT_COMPLETE=fish_source kact | source` in config.fish. In bash "
            "3.2, which macOS has, names of files are completed by bash itself.",
        ),
    ),
}
"""The sections of kact(1)."""

BATCH: dict[str, Rules] = {
    "INPUTS AND OUTPUTS": (
        (
            "",
            "From a directory come the files with the suffix of a format, or those that "
            "`--include` names; none whose name starts with a dot, and none through links to "
            "directories. Two files that would become one are an error before any work, and so "
            "is an output that exists, unless `--overwrite`, `--skip-existing` or `--update` says "
            "what to do. Outputs of inputs that are gone stay. The largest files are done first. A "
            ".npy of 128 MiB and more is cut into ranges that all workers share.",
        ),
        (
            "After a failure or Ctrl-C",
            "The outputs that are done stay, each whole, and the last line says how many. The "
            "same command with `--skip-existing`, or with `--update`, goes on from there; with "
            "`--keep-going` a failure does not end the run: every one is listed with its cause, "
            "and the exit code is 1.",
        ),
        (
            "The report",
            "`--report` is JSON: kact's version, chain and options, how many are done, skipped, "
            "failed and (after a signal or a failure) unfinished, and for each file input, output, "
            "status, error, bytes, seconds, rows, NaN, infinities and warnings. To count, a file "
            "is read once more. `kact apply` and `kact chain` write the same of one file.",
        ),
    ),
    "FILES": (
        (
            NAME,
            "This file in the output directory says which chain, options and version made "
            "what is there, and the size and time of each input. It is written before any "
            "work. A run that differs in chain, options or version is refused, so that "
            "`--skip-existing` and `--update` never mix two; remove it with the outputs to begin "
            "anew. `--jobs`, `--overwrite` and `--fsync` may differ. Outputs that an unfinished "
            "`--overwrite` has not replaced are named in it: `--skip-existing` and `--update` are "
            "refused over these.",
        ),
        (
            "What has changed, for --update?",
            "An INPUT whose size or time of modification is not what this file says of it; what is "
            "in it is not compared. A run that was killed has noted nothing: of its outputs those "
            "are made again that are older than their INPUT.",
        ),
    ),
    "OBJECT STORES": (
        (
            "",
            f"URIs: {', '.join(f'{s}://' for s in SCHEMES)} and file://. An object is fetched into "
            "a temporary file, and put from one: TMPDIR needs room for both, for each worker, and "
            "memory does not grow. It becomes visible when its upload ends, or where it is renamed "
            "then (HDFS, Azure): of a file that fails, nothing does, and what --overwrite was to "
            "replace is there as it was. An object that is replaced while it is read is an error.",
        ),
        (
            "Azure",
            "Outputs need an account with a hierarchical namespace: in another an object cannot be "
            "renamed, and none is written. Such accounts are for INPUTs; write to a file, and "
            "upload that.",
        ),
        (
            "Credentials",
            "Credentials, region and endpoint come from the environment, as for the stores' own "
            "tools. S3: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, with "
            "AWS_SESSION_TOKEN for temporary ones; AWS_REGION, AWS_ENDPOINT_URL. GCS: "
            "GOOGLE_APPLICATION_CREDENTIALS; it is given up after a minute or two, or "
            "`?retry_limit_seconds=N`. Azure: AZURE_TENANT_ID, AZURE_CLIENT_ID and "
            "AZURE_CLIENT_SECRET, a managed identity, what `az login` left, or a SAS token as the "
            "URI's query; without any, Arrow's client of Azure aborts. Messages and reports show "
            "no secret that is in a URI.",
        ),
        (
            "Public buckets",
            "s3://BUCKET/KEY where no keys are set, nor in ~/.aws; gs://anonymous@BUCKET/KEY; "
            "abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY?credential_kind=anonymous.",
        ),
        (
            "What a killed run leaves",
            "An upload that nobody ends costs what its parts do: the lifecycle rule "
            "AbortIncompleteMultipartUpload of the bucket removes it. In HDFS and Azure an object "
            "`.kact-*.tmp` may stay.",
        ),
    ),
    "DASK": (
        (
            "",
            "`pip install 'kact-cli[dask]'`, the same version here and on every worker; "
            "`dask scheduler --host 10.0.0.1`, `dask worker tcp://10.0.0.1:8786 --nthreads 1` on "
            "every machine, `kact batch SPEC INPUT -o DIR --scheduler tcp://10.0.0.1:8786`. Paths "
            "mean the same on every machine: a shared file system, or URIs with each worker's own "
            "credentials. The work of a worker that is lost goes to another. After Ctrl-C, workers "
            "finish the files that they are at.",
        ),
        (
            "Security",
            "Who can reach the scheduler can run code on every worker, and traffic is not "
            "encrypted unless Dask's TLS is set up: keep it in a network that you trust.",
        ),
    ),
}
"""The sections of kact-batch(1)."""

EXIT_CODES: Rules = (
    (str(int(ExitCode.DONE)), "Done. Of `kact compare`: every pair passes."),
    (
        str(int(ExitCode.DATA)),
        "The data, or reading or writing it, is at fault; the output is absent, or as it was. "
        "Of `kact compare`: a pair does not pass, or shapes, columns or rows differ.",
    ),
    (
        str(int(ExitCode.USAGE)),
        "The command line is at fault, or with `--strict` a warning. Of `kact compare`, as of cmp, "
        "diff and grep, also: the files could not be compared (one is missing, broken, or has no "
        "numbers).",
    ),
    ("128 + n", "Signal n ended kact: 130 for Ctrl-C, 141 for a closed pipe, 143 for SIGTERM."),
)
ENVIRONMENT: Rules = (
    (
        "KACT_...",
        "The default of an option; the commands' pages name them. KACT_COLUMNS is one list a line.",
    ),
    ("TMPDIR, TEMP, TMP", "Where temporary files go: the first that is a directory."),
    ("NO_COLOR", "Where it is set and not empty, nothing is coloured; nor where TERM is `dumb`."),
    ("COLUMNS, LINES", "The size of the terminal, instead of what it says."),
    ("AWS_..., AZURE_..., GOOGLE_APPLICATION_CREDENTIALS", "See kact-batch(1)."),
)
EXAMPLES = (
    *FIRST,
    "kact apply softmax -c embedding --suffix _p table.parquet more.parquet",
    "kact apply sigmoid --dtype float16 --report report.json logits.npy half.npy",
    "cat logits.npy | kact chain relu:max_value=6,softmax > out.npy",
    "kact batch softmax logits/ -o probabilities/ --update",
    "kact inspect --stats probabilities.npy",
    "kact compare --max-ulp 4 device.npy expected.npy",
)

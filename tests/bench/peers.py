"""The same job in the script that one would write instead: python peers.py PEER ACTIVATION IN OUT.

Each is the short way that the library's documentation suggests, and reads and writes whole files.
`check` compares two outputs: python peers.py check TOLERANCE A B.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FIVE = ("relu", "elu", "tanh", "softsign", "sigmoid")
"""What the activation `five` stands for: a chain of five steps."""
SELU = (1.0507009873554805, 1.6732632423543772)


def numpy(name: str, source: str, target: str) -> None:
    import numpy as np

    def softmax(x: Any, axis: int = -1) -> Any:
        e = np.exp(x - x.max(axis, keepdims=True))
        return e / e.sum(axis, keepdims=True)

    functions: dict[str, Callable[[Any], Any]] = {
        "relu": lambda x: np.maximum(x, 0),
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "softmax": softmax,
        "softmax0": lambda x: softmax(x, 0),
        "softplus": lambda x: np.logaddexp(x, 0),
        "softsign": lambda x: x / (np.abs(x) + 1),
        "tanh": np.tanh,
        "selu": lambda x: SELU[0] * np.where(x > 0, x, SELU[1] * np.expm1(x)),
        "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
        "exponential": np.exp,
    }
    x = np.load(source)
    for step in FIVE if name == "five" else (name,):
        x = functions[step](x)
    np.save(target, x)


def torch(name: str, source: str, target: str) -> None:
    import numpy as np
    import torch
    import torch.nn.functional as f

    functions: dict[str, Callable[[Any], Any]] = {
        "relu": torch.relu,
        "sigmoid": torch.sigmoid,
        "softmax": lambda x: torch.softmax(x, -1),
        "softmax0": lambda x: torch.softmax(x, 0),
        "softplus": f.softplus,
        "softsign": f.softsign,
        "tanh": torch.tanh,
        "selu": torch.selu,
        "elu": f.elu,
        "exponential": torch.exp,
    }
    x = torch.from_numpy(np.load(source))
    for step in FIVE if name == "five" else (name,):
        x = functions[step](x)
    np.save(target, x.numpy())


def numexpr(name: str, source: str, target: str) -> None:
    import numexpr
    import numpy as np

    expressions = {
        "relu": "where(x > 0, x, 0 * x)",
        "sigmoid": "1 / (1 + exp(-x))",
        "softplus": "log1p(exp(x))",
        "softsign": "x / (abs(x) + 1)",
        "tanh": "tanh(x)",
        "selu": f"{SELU[0]} * where(x > 0, x, {SELU[1]} * expm1(x))",
        "elu": "where(x > 0, x, expm1(x))",
        "exponential": "exp(x)",
    }
    x = np.load(source)
    for step in FIVE if name == "five" else (name,):
        x = numexpr.evaluate(expressions[step], {"x": x}, casting="same_kind").astype(x.dtype)
    np.save(target, x)


def onnxruntime(name: str, source: str, target: str) -> None:
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper

    operators = {"exponential": "Exp", "softmax0": "Softmax"}
    x = np.load(source)
    type_ = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}[x.dtype.name]
    steps = FIVE if name == "five" else (name,)
    nodes = []
    for i, step in enumerate(steps):
        operator = operators.get(step, step.capitalize())
        more = {"axis": 0 if step == "softmax0" else -1} if operator == "Softmax" else {}
        nodes.append(helper.make_node(operator, [f"t{i}"], [f"t{i + 1}"], **more))
    ends = [helper.make_tensor_value_info(f"t{i}", type_, x.shape) for i in (0, len(steps))]
    graph = helper.make_graph(nodes, "job", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    np.save(target, session.run(None, {"t0": x})[0])


def polars(name: str, source: str, target: str) -> None:
    import polars as pl

    csv = source.endswith(".csv")
    frame = pl.scan_csv(source) if csv else pl.scan_parquet(source)
    columns = [c for c in frame.collect_schema().names() if c.startswith("x")]
    if source.endswith("lists.parquet"):
        e = (pl.element() - pl.element().max()).exp()
        frame = frame.with_columns(pl.col("x0").list.eval(e / e.sum()))
    elif name == "softmax":
        largest = pl.max_horizontal(columns)
        exponentials = [(pl.col(c) - largest).exp() for c in columns]
        total = pl.sum_horizontal(exponentials)
        frame = frame.with_columns(
            (e / total).alias(c) for c, e in zip(columns, exponentials, strict=True)
        )
    else:
        frame = frame.with_columns((1 / (1 + (-pl.col(c)).exp())).alias(c) for c in columns)
    if csv:
        frame.sink_csv(target)
    else:
        frame.sink_parquet(target)


def duckdb(name: str, source: str, target: str) -> None:
    import duckdb

    names = [row[0] for row in duckdb.sql(f"describe select * from '{source}'").fetchall()]
    columns = [n for n in names if n.startswith("x")]
    if source.endswith("lists.parquet"):
        e = "list_transform(x0, lambda v: exp(v - list_max(x0)))"
        new = {"x0": f"list_transform({e}, lambda v: (v / list_sum({e}))::float)"}
    elif name == "softmax":
        largest = f"greatest({', '.join(columns)})"
        total = " + ".join(f"exp({c} - {largest})" for c in columns)
        new = {c: f"(exp({c} - {largest}) / ({total}))::float" for c in columns}
    else:
        new = {c: f"(1 / (1 + exp(-{c})))::float" for c in columns}
    select = ", ".join(f"{new[n]} as {n}" if n in new else n for n in names)
    duckdb.sql(f"copy (select {select} from '{source}') to '{target}'")


def pandas(name: str, source: str, target: str) -> None:
    import numpy as np
    import pandas as pd

    csv = source.endswith(".csv")
    frame = pd.read_csv(source) if csv else pd.read_parquet(source)
    columns = [c for c in frame.columns if c.startswith("x")]
    if source.endswith("lists.parquet"):
        rows = np.stack(list(frame["x0"]))
        e = np.exp(rows - rows.max(1, keepdims=True))
        frame["x0"] = list(e / e.sum(1, keepdims=True))
    elif name == "softmax":
        e = np.exp(frame[columns].sub(frame[columns].max(axis=1), axis=0))
        frame[columns] = e.div(e.sum(axis=1), axis=0)
    else:
        frame[columns] = 1 / (1 + np.exp(-frame[columns]))
    if csv:
        frame.to_csv(target, index=False)
    else:
        frame.to_parquet(target)


def check(tolerance: str, a: str, b: str) -> None:
    """Exit with an error where the numbers of two outputs differ by more than `tolerance`."""
    import numpy as np

    for x, y in zip(_numbers(a), _numbers(b), strict=True):
        if not np.allclose(x, y, rtol=float(tolerance), atol=1e-6, equal_nan=True):
            raise SystemExit(f"{a} and {b} differ by up to {np.abs(x - y).max()}")


def _numbers(path: str) -> Any:
    import numpy as np

    if path.endswith(".npy"):
        x, rows = np.load(path, mmap_mode="r"), 100_000
        for first in range(0, len(x), rows):
            yield np.array(x[first : first + rows])
        return
    import pyarrow.csv
    import pyarrow.parquet as pq

    table = pq.read_table(path) if path.endswith(".parquet") else pyarrow.csv.read_csv(path)
    for name in table.column_names:
        if name.startswith("x"):
            column = table[name].combine_chunks()
            yield np.asarray(getattr(column, "flatten", lambda c=column: c)(), dtype=np.float64)


PEERS = (numpy, torch, numexpr, onnxruntime, polars, duckdb, pandas, check)


def main() -> None:
    peer, name, source, target = sys.argv[1:]
    Path(target).unlink(missing_ok=True) if peer != "check" else None
    {function.__name__: function for function in PEERS}[peer](name, source, target)


if __name__ == "__main__":
    main()

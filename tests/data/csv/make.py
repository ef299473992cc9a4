"""Writes the files beside it, each by the tool that it is named after.

They are committed, so that the tests need none of these tools. To write them again:

    pip install numpy pandas polars duckdb pyarrow && python tests/data/csv/make.py
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv

HERE = Path(__file__).parent
ROWS = 6

numbers = np.array([0.1, -2.5, 1e-7, 123456.789, np.nan, 1e22])
columns = {
    "id": [f"{i:03d}" for i in range(ROWS)],
    "logit": numbers.tolist(),
    "note": ["plain", "a, b", 'say "hi"', "two\nlines", None, ""],
    "score": [1.0, None, 3.25, None, -0.0, 1e300],
    "ok": [True, False, True, True, None, False],
}


def main() -> None:
    """Write every file."""
    frame = pd.DataFrame(columns)
    frame.to_csv(HERE / "pandas.csv", index=False)
    frame.to_csv(HERE / "pandas_index.csv")
    frame.to_csv(HERE / "pandas_quoted_crlf.csv", index=False, quoting=1, lineterminator="\r\n")
    frame.to_csv(HERE / "pandas_semicolon.csv.gz", index=False, sep=";", na_rep="NA")
    frame[["score"]].to_csv(HERE / "pandas_one_column.csv", index=False)

    table = pl.DataFrame(columns)
    table.write_csv(HERE / "polars.csv", include_bom=True)
    table.select(pl.col("logit").cast(pl.Float32), "score").write_csv(
        HERE / "polars_no_header_tab.csv", include_header=False, separator="\t"
    )

    arrow = pa.table(columns)
    plain = arrow.set_column(2, "note", pa.array(["a", "b", "", None, "c", "d"]))
    pyarrow.csv.write_csv(plain, HERE / "pyarrow.csv")
    with pa.CompressedOutputStream(str(HERE / "pyarrow.csv.zst"), "zstd") as sink:
        pyarrow.csv.write_csv(plain, sink)

    duckdb.sql(f"COPY (SELECT * FROM arrow) TO '{HERE / 'duckdb.csv'}' (HEADER)")
    duckdb.sql(f"COPY (SELECT * FROM arrow) TO '{HERE / 'duckdb.csv.gz'}' (HEADER)")

    square = np.arange(12).reshape(4, 3) / 7
    np.savetxt(HERE / "numpy_savetxt.csv", square, delimiter=",")
    np.savetxt(HERE / "numpy_savetxt_padded.csv", square, "%10.4f", ", ", header="a,b,c")


if __name__ == "__main__":
    main()

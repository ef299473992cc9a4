"""Parquet, read and written column chunk by column chunk.

pyarrow decodes; the rest is here, because of what was measured (3 M rows of an id, three texts, a
time and two float32 columns; two cores):

- A column chunk that is not computed is copied as bytes. It keeps its encodings, dictionary,
  statistics, checksums and bloom filter by construction, and costs what `cp` costs. The whole file
  took 0.52 s, where pyarrow's reader and writer took 1.45 s, Polars 0.9 to 1.1 s, DuckDB 1.66 s.
- A page of floats is little more than the array itself: `pages` takes a third of the time of
  pyarrow's encoder, which is also one thread for a whole file. Here any number of threads encode
  chunks, and write them where there is room.
- pyarrow cannot hand out a footer to be changed. `thrift` reads one as field numbers and values,
  so that a field which nobody has heard of yet is carried along.

Two ways lead through the folder. `plan` says whether a file can be rewritten so, and why not;
`rewrite` does it, in tasks of `encode` (`levels` and `pages` make the bytes) whose bytes `output`
puts in order, while `row_group` and `footer` keep the books. Files that cannot be, and conversions
from and to other formats, go through `table`: record batches, by pyarrow's own reader and writer.

Read `rewrite` first. Imports `tables`, `files`, `parallel`, and from above only `formats.base`.
"""

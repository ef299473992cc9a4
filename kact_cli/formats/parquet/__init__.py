"""Parquet, read and written column chunk by column chunk.

pyarrow decodes; the rest is here, because of what was measured (3 M rows of an id, three texts, a
time and two float32 columns; two cores):

- A column chunk that is not computed is copied as bytes. It keeps its encodings, dictionary,
  statistics, checksums and bloom filter by construction, and costs what `cp` costs. The whole file
  took 0.52 s, where pyarrow's reader and writer took 1.45 s, Polars 0.9 to 1.1 s, DuckDB 1.66 s.
  What is computed is a new chunk, of whatever type, in its source's place or after the last.
- A page of floats is little more than the array itself: `pages` takes a third of the time of
  pyarrow's encoder, which is also one thread for a whole file. Here any number of threads encode
  chunks, and write them where there is room.
- pyarrow cannot hand out a footer to be changed. `metadata` has one as field numbers and values, so
  that a field which nobody has heard of yet is carried along. Of column chunks, of which there may
  be 20,000, only some numbers are read, once, and written over where they are.

Two ways lead through the folder. `plan` says what the columns of the new file are, copied or
encoded, and why a file cannot be rewritten so; `rewrite` does it, in tasks of `encode` (`levels`
and `pages` make the bytes) whose bytes `output` puts in order, while `row_group` and `metadata`
keep the books. The general way, by pyarrow's own reader and writer (`table`), is left for
conversions from and to other formats, and for what truly needs it: fields of structs, column
chunks that overlap or whose lengths are wrong (parquet-mr before 1.2.9), numbers stored as no
numbers. There, what Arrow has no type for is refused.

Read `rewrite` first. Imports `tables`, `files`, `parallel`, and from above only `formats.base` and
`formats.declared`.
"""

"""CSV, block by block of text: every byte that is not a computed number stays as it is.

pyarrow's reader and writer of CSV cannot keep a file what it is: they fix types by the first
block, make 7 of `007`, drop the nulls of a one-column file, quote all texts or none, and turn
1e400 into inf without a word. And they are slower (1 M rows of 9 columns, sigmoid, two cores):

- A file is cut into blocks of whole records (`blocks`), so that each is parsed, computed and
  written as text in a thread of its own: 0.80 s, where pyarrow took 1.13 s in sequence, DuckDB
  1.03 s, pandas 9.3 s. (Polars took 0.6 s, and keeps nothing of the above.)
- The shortest text of a float, half of all the time with Arrow's cast, is orjson's (`floats`).

`spelling` says what a cell is, `kinds` what a column, `header` whether there is one; `dialect`
finds these and the delimiter in the first records. `cells` finds the cells of a block, `parse`
reads the numbers in them and `render` puts computed ones in their places; `compression` is for
what is packed. `text` is an open file, and `table` has it as a reader and a writer of record
batches, for which `batches` goes between text and Arrow.

Read `text` first, then `dialect`. Imports `tables`, `files`, `parallel`, and from above only
`formats.base`, `detect` and `foreign`.
"""

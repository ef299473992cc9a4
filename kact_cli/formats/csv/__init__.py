"""CSV, block by block of text: every byte that is not a computed number stays as it is.

pyarrow's reader and writer of CSV cannot keep a file what it is: they fix types by the first
block, make 7 of `007`, drop the nulls of a one-column file, quote all texts or none, and turn
1e400 into inf without a word. And they are slower (1 M rows of 9 columns, sigmoid, two cores):

- A file is cut into blocks of whole records (`blocks`), so that each is parsed, computed and
  written as text in a thread of its own: 0.80 s, where pyarrow took 1.13 s in sequence, DuckDB
  1.03 s, pandas 9.3 s. (Polars took 0.6 s, and keeps nothing of the above.)
- Arrow's cast of a float to text takes 70 ns, which was half of all the time; `float_text` is 1.8
  to 2.3 times as fast and gives the same shortest digits.

`dialect` finds delimiter, header and types in the first records; `cells` finds the cells of a
block, `parse` reads the numbers in them and `render` puts computed ones in their places;
`compression` is for what is packed. `table` has the file as a reader and a writer of record
batches, for which `batches` goes between text and Arrow.

Read `table` first, then `dialect`. Imports `tables`, `files`, `parallel`, and from above only
`formats.base`, `detect` and `foreign`.
"""

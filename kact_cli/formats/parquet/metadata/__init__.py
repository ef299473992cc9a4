"""The footer of a Parquet file: what stands where, read, and written again with what has changed.

`thrift` has a structure as field numbers and values, `thrift_reader` reads one, or only some
numbers of it; `schema` is about columns, `chunk` about one column chunk, `footer` about the whole.
Read `footer` first. Imports `files` and what stands below, and nothing of the folder above.
"""

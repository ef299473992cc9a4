"""Tables in memory, as Arrow arrays: which columns are the tensor, and the chain computed on them.

`columns` says which take part, `parts` makes tensors of them, `arrays` goes between Arrow and
NumPy, `compute` applies a chain to a batch; read `job` first.

Imports `engine` and what is below; knows no file.
"""

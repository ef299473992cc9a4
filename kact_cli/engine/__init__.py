"""A chain over tensors in memory, by NumPy, and the plan for those that are larger.

`plan` cuts a tensor into chunks (`layout` is its arithmetic), `program` settles the dtypes,
`engine` computes a block; `float16` converts and looks up. Read `plan` first.

Imports `activations`, `chain` and what is below; knows no file.
"""

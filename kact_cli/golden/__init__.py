"""Golden vectors: inputs that leave nothing out, and look-up tables of what comes of them.

`floats` numbers the values of a dtype, `every` and `sample` choose inputs, `edges` finds where a
chain bends or is hard to round, `vectors` writes the inputs; `lut` makes look-up tables and writes
them. Read `vectors` first. Imports `formats`, `engine`, `files` and what is below.
"""

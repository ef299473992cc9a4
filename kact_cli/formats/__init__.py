"""Between bytes and tensors or tables: what each file format is and how it is read and written.

Read `declared` first, the list of the formats, then `base`, which says what a reader and a writer
of tables are. `detect` tells a format, `open` opens one. Imports `tables`, `files`, `parallel`.
"""

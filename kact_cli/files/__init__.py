"""Bytes on disk, in pipes and in object stores.

What is read (`source`), what is written (`target`), what is put aside (`temporary`), what is
elsewhere (`object_store`), and what is done with any open file (`descriptors`).

Read `source` first. Knows no format. Imports `messages` and `errors`.
"""

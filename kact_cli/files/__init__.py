"""Bytes on disk, in pipes and in object stores.

What is read (`source`), what is written (`target`), what is put
aside (`temporary`), what is elsewhere (`object_store`).

Read `source` first. Knows no format. Imports `messages` and `errors`.
"""

"""What standard output shows: tables, previews, comparisons, curves and pictures.

`show` has tables and lines that fit the terminal; the other modules each show one thing. Messages
on standard error are `cli.console`'s, progress is `cli.progress`'s. Imports `reports` and what
stands below, and of `cli` only `console`.
"""

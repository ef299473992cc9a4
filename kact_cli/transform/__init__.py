"""From one file to another. Read `route` first: it names the other modules and what each does.

Imports `formats`, `tables`, `engine`, `files`, `parallel`.
"""

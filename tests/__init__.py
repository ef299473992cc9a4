"""The tests, in the tree of the package; what they share is in `tools`.

    python -m pytest                                    the default: the same cases each time
    python -m pytest --hypothesis-profile random        properties on 20 times as many, random cases
    python -m pytest -m slow                            what takes minutes or gigabytes
    python -m pytest -m interop                         files of DuckDB, Polars, pandas, fastparquet
    python tests/project/packages.py                    the wheel, at its lowest versions, as well
    python -m tests.trust --help                        faults, races and kills, as many as wished

A property that fails prints its case; with --hypothesis-profile random it is shrunk, too.
"""

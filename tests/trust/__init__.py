"""Whether kact stays whole, safe and true, whoever else is at work: `python -m tests.trust --help`.

Each kind of trouble is a module of `kinds`, which makes many cases of it, runs kact on each and has
`verdict` judge what came of it. Read `child` first: kact in a forked child of a process that has
loaded everything costs some milliseconds instead of some hundred. `inject` makes one system call of
such a child fail, come short or find its input changed: by `shim.c` where there is a compiler,
which sees Arrow's calls too, else by `patches` of Python's `os`. `inputs` are the files and
commands that are tried.

A bounded part runs with the other tests (`test_trust`).
"""

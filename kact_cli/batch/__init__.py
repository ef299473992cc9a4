"""Many files: which there are, who works on them, and what became of each.

`inputs` finds the files and says what each becomes, `manifest` keeps outputs of different chains
apart, `schedule` hands units to workers and collects what they say. A unit (`unit`) is a whole
file, or a range of a large .npy (`ranges`); it is done by this process, a crew of processes
(`crew`) or a Dask cluster (`cluster`).
"""

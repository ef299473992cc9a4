"""Who does the work: threads, processes of this machine, or a cluster.

One seam serves all three, `concurrent.futures.Executor`: `pools` has threads, and calls whose
results are wanted in order; `processes` has what takes calls in any order, this process and
others of this machine; `cluster` has a Dask cluster. Only this folder knows processes and clusters.
Read `pools` first. Imports `messages` and `errors`.
"""

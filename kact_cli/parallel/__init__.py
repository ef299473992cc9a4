"""Who does the work: threads, processes of this machine, or a cluster.

Only this folder knows processes and clusters. Read `pools` first. Imports `messages` and `errors`.
"""

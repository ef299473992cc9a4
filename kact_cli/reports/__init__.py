"""What only reads: the numbers of a file, shown, summed up, compared, explained.

Read `values` first, the one way to the numbers of any format. Imports `transform` and below.
"""

"""Many files: which there are, who works on them, and what became of each.

`inputs` finds the files and says what each becomes, `manifest` keeps outputs of different chains
apart, `schedule` hands calls to workers (`parallel`) and collects what they say, and `report`
writes it down. A call does a whole file (`unit`), or a range of a large .npy (`ranges`). Read
`schedule` first. Imports `transform`, `reports` and what stands below them.
"""

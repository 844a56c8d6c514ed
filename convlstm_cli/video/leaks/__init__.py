"""Which videos must stand on one side of a split: those that show the same moments, and those of one group.

May import the files of `video/` that know nothing of a split or a library: `colour`, `segments`.
"""

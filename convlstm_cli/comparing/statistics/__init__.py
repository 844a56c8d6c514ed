"""The statistics of a comparison: whether a difference between arms is larger than the luck of seeds and videos.

Owns the estimate, its distribution, the tests and the intervals; knows arrays of scores, and no networks or files.
May import numpy, and of this package scoring's result dataclasses only."""

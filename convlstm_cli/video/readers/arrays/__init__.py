"""Readers of arrays of numbers: one file for each format of them, and what an array in any of them is.

Owns axes, the choice of an array in a file, and physical values. `registered.py` lists those of the registry.
May import the files of readers/ that know no reader, the other files of video/ and the base modules."""

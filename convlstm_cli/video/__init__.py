"""Videos as frames: readers, writers, library, split, cache and clips.

Owns frames: numpy arrays (H, W, C) of their source's type, C = 1 for grey and 3 for RGB; positions count from 0 inside
the code and frames count from 1 in everything that a user sees.
May import the base modules only; knows nothing of networks.
"""

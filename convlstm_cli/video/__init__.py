"""Videos as frames: reading, writing, indexing and cutting them into clips. Knows nothing of models.

A frame is a numpy array (H, W, C) of uint8 everywhere: C is 1 for grey and 3 for colour in the order RGB.
Frames count from 1 in everything that a user sees; inside the code positions count from 0.
"""

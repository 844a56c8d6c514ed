"""A sequence of a ConvLSTM layer as one autograd function with its own backward.

`plan.py` says which sequences it computes and how, `forward.py` and `backward.py` are its two passes, and `function.py`
joins them for autograd. Nothing here imports `recurrence.py`, which calls it, or the layers and networks above that.
"""

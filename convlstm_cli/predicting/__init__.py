"""One forecast of one input: its pieces and its members under the guard, its files, its result.

`predict.py` and `arrays.py` above put these together. May import reporting, scoring, forecasting, weights, runs,
compute, nn, video and the base modules.
"""

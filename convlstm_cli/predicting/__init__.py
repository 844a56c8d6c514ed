"""Parts of a prediction that use both forecasts and the scores by which these are guarded.

`predict.py` and `arrays.py` above put them together. May import scoring, forecasting, weights, runs, compute, nn, video
and the ground.
"""

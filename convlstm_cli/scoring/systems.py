"""What the forecasts that are scored are called in files, beside the names of `BASELINES`."""

MODEL = "model"
"""The network's forecast, or the mean of an ensemble's."""
GUARDED = "guarded"
"""That forecast, mixed with the baselines by the guard (guard.py)."""

"""Scores of probabilistic forecasts: members of an ensemble against the truth, and baselines that have members.

Owns how good the members of a forecast are together: accuracy, calibration, reliability.
May import scoring/ beside it except what evaluates and reports (evaluation.py, result.py), and everything below."""

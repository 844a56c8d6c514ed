"""Scores: metrics, baselines, held-out frames and the bootstrap.

Owns how good a forecast is, as dataclasses.
May import forecasting/ and everything below it."""

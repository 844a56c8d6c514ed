"""Scores: metrics, baselines, held-out frames and the bootstrap.

Owns what is measured of a forecast, as dataclasses.
May import forecasting/ and everything below it."""

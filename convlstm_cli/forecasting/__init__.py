"""Forecasts: inference, tiling, ensembles, shards, and the reuse of finished forecasts.

Owns how a network's weights become frames; scores nothing.
May import runs/ and everything below it."""

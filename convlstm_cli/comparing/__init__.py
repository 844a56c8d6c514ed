"""Comparisons: which arms, matched how, trained seed by seed, and judged by scores, statistics and knock-outs.

Owns the plan in comparison.json, and makes the result that scoring/comparison_result.py describes.
May import train.py and everything below it; never compare.py or cli/."""

"""Comparisons: arms, trials, matching, statistics, the verdict, and what peepholes learned.

Owns comparison.json's plan and the judgement written to summary.json.
May import train.py and everything below it; never compare.py or cli/."""

"""Training: the loop, one optimiser step, and the rule of going on with a run.

Owns losses, optimisers, schedules and augmentations (a registry each), presets and the memory budget.
May import reporting/ and everything below it; never train.py."""

"""Training: one optimiser step and what it is made of.

Owns optimisers, losses, the schedule, augmentation, presets and the memory budget.
May import reporting/ and everything below it; never train.py."""

"""What scripts/gpu-check runs: `steps.py` is the list, each other file one kind of step."""

"""The machine: device, precision, processes, memory, and cooperative cancellation.

Owns what a computation runs on, and how it is stopped.
May import the base modules only."""

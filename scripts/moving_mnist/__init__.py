"""The parts of `benchmark_moving_mnist.py`."""

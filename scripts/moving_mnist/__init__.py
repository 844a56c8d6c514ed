"""The parts of benchmark_moving_mnist.py: sequences, settings, systems, training, test and tables."""

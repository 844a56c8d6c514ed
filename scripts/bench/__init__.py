"""What several benchmarks share: the machine, the terminal, drawn Moving MNIST folders and the plain PyTorch cell."""

"""The parts of scripts/benchmark_speed.py. Those of the parent process import no torch."""

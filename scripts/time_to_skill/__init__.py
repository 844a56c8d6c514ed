"""The parts of benchmark_time_to_skill.py: clips of a folder, the race, and its result."""

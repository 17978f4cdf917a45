"""Benchmarks: our proxy pair and others, in turn, on one machine, in one run. `python -m benchmarks --help`."""

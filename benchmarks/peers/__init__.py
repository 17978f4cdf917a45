"""The proxy pairs that can be measured. A new one: a class with `start`, and a line in `contestants.py`."""

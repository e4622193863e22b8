"""Measurements, each run by a make target as ``python -m bench.NAME``."""

"""Simulations of how often the intervals contain the known value; run them with `python -m benchmarks.calibration`.

Each file has the cases of one topic, and `__main__.py` lists the files.
"""

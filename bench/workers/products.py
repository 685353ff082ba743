"""Rates of matrix products."""

import statistics

from serve import timed


def measure(multiply, work, seconds):
    """Multiply-adds a second: the median of repetitions for so many seconds, three at least, after two that warm up."""
    for _ in range(2):
        multiply()
    times = []
    while len(times) < 3 or sum(times) < seconds:
        times.append(timed(multiply)[0])
    return {"rate": work / statistics.median(times)}

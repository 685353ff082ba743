"""Rates of matrix products."""

import statistics

from serve import timed


def measure(multiply, work, seconds):
    """Multiply-adds a second: the median of repetitions for so many seconds, three at least, after two that warm up.
    Where the first takes ten times as long, as there is no fast kernel for the machine, it is the only one."""
    first = timed(multiply)[0]
    if first > 10 * seconds:
        return {"rate": work / first}
    multiply()
    times = []
    while len(times) < 3 or sum(times) < seconds:
        times.append(timed(multiply)[0])
    return {"rate": work / statistics.median(times)}

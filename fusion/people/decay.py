"""Exponential decay without sweeps: amounts are brought to a common time when they meet, never in between.

Forward decay (Cormode, Shkapenyuk, Srivastava, Xu 2009): measured from a fixed landmark, an action's weight never
changes, only the reader's scale does. So counters add up in any order of arrival and nothing has to be aged.
"""

import math


def decayed(amount: float, *, from_ms: int, to_ms: int, half_life_s: float) -> float:
    """What is left of an amount after a time; all of it when ``to_ms`` is not later."""
    return amount * float(2.0 ** (-max(to_ms - from_ms, 0) / (1000.0 * half_life_s)))


def forward_log2(weight: float, at_ms: int, half_life_s: float) -> float:
    """log2 of a weight above 0 as seen from 1970: kept as a logarithm, it cannot overflow however old the landmark."""
    return math.log2(weight) + at_ms / (1000.0 * half_life_s)


def add_log2(one: float, other: float) -> float:
    """log2 of the sum of two numbers given by their log2."""
    high, low = max(one, other), min(one, other)
    return high + math.log2(1.0 + 2.0 ** (low - high))


def backward(log2_total: float, now_ms: int, half_life_s: float) -> float:
    """The decayed weight as of ``now_ms`` of a total kept by ``forward_log2`` and ``add_log2``."""
    return float(2.0 ** (log2_total - now_ms / (1000.0 * half_life_s)))

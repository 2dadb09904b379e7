"""Times two programs in interleaved rounds, so that what slows the machine down slows both."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

WARM_UP = 3


@dataclass(frozen=True)
class Effort:
    """How many rounds, and how long each program runs in each, in seconds."""

    rounds: int
    seconds: float


FULL = Effort(rounds=9, seconds=0.1)
QUICK = Effort(rounds=2, seconds=0.0)


@dataclass(frozen=True)
class Timing:
    """Milliseconds a call (medians), and netspec's time over the hand-written one's: median, lowest, highest round."""

    handwritten: float
    ours: float
    ratio: float
    low: float
    high: float


def interleave(handwritten: Callable[[], object], ours: Callable[[], object], effort: Effort) -> Timing:
    """Time both, one after the other in each round, the first one in turn. Both must wait for their result."""
    programs = (handwritten, ours)
    for program in programs:
        for _ in range(WARM_UP):
            program()
    calls = [max(1, round(effort.seconds / _time(program, 1))) for program in programs]
    times: tuple[list[float], list[float]] = ([], [])
    gc.collect()
    gc.disable()
    try:
        for turn in range(effort.rounds):
            for which in (0, 1) if turn % 2 else (1, 0):
                times[which].append(_time(programs[which], calls[which]))
    finally:
        gc.enable()
    ratios = [mine / other for other, mine in zip(*times, strict=True)]
    medians = [statistics.median(each) * 1e3 for each in times]
    return Timing(medians[0], medians[1], statistics.median(ratios), min(ratios), max(ratios))


def _time(program: Callable[[], object], calls: int) -> float:
    """Seconds a call."""
    begin = time.perf_counter()
    for _ in range(calls):
        program()
    return (time.perf_counter() - begin) / calls

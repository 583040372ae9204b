from __future__ import annotations

import time

import numpy as np

from edgeopt.gate.speed import Speed, check_speed
from edgeopt.measure import Ratio, summarize


def sleeping(seconds):
    return lambda x: time.sleep(seconds) or x


def speed(one, other, *, on_target=False) -> Speed:
    return check_speed(
        sleeping(one),
        sleeping(other),
        (np.zeros(1, np.float32),),
        precision="int8",
        threads=2,
        machine="Some CPU",
        on_target=on_target,
    )


def test_the_slower_one_is_named_slower():
    found = speed(0.004, 0.001)
    assert not found.ok
    assert found.ratio.value > 2
    assert found.ratio.verdict == "slower"


def test_the_faster_one_is_ok():
    assert speed(0.001, 0.004).ok


def test_a_host_is_never_called_the_target():
    assert "not the target" in speed(0.001, 0.001).label
    assert "the target" in speed(0.001, 0.001, on_target=True).label
    assert "latency" not in str(speed(0.001, 0.001))


def test_a_small_difference_is_no_failure():
    held = summarize([1_000_000] * 10)
    ratio = Ratio(1.02, 1.01, 1.03, "slower")
    assert Speed("int8", held, held, ratio, 1, "CPU", on_target=False).ok

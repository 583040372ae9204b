"""Files that are stored as their difference from another one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeopt.bundles import delta
from edgeopt.bundles.delta import BLOCK, DeltaBase
from edgeopt.bundles.device.edgeopt_runner.delta import MAGIC, apply_delta

RANDOM = np.random.default_rng(0)
BASE = RANDOM.integers(0, 256, 20_000, dtype=np.uint8).tobytes()


def numbers(*values):
    return np.array(values, "<i8").tobytes()


@pytest.mark.parametrize(
    ("base", "whole"),
    [
        (b"", b""),
        (b"", b"abc"),
        (BASE, b""),
        (BASE, BASE),
        (BASE, BASE[:1000]),
        (BASE, b"x" * 77 + BASE[500:9000] + b"y" * 5 + BASE[:400] + BASE),
        (bytes(5000), bytes(9000)),
        (bytes(100) + BASE, BASE + bytes(100)),
    ],
)
def test_the_whole_comes_back(base, whole):
    assert apply_delta(base, DeltaBase(base).delta(whole)) == whole


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=400),
    st.lists(
        st.tuples(st.integers(0, 300), st.integers(0, 300), st.binary(max_size=40)), max_size=5
    ),
)
def test_any_whole_comes_back(base, parts):
    base = base * 3
    whole = b"".join(base[start : start + size] + more for start, size, more in parts)
    assert apply_delta(base, DeltaBase(base).delta(whole)) == whole


def test_what_is_shared_takes_no_room():
    whole = b"head" + BASE[3:15_000] + b"middle" * 10 + BASE[15_000:]
    assert len(DeltaBase(BASE).delta(whole)) < 300


def test_blocks_are_found_anywhere():
    shift = BASE[: 3 * BLOCK]
    assert len(DeltaBase(BASE).delta(b"\x01" * 7 + shift)) < 100


@pytest.mark.parametrize(
    "delta",
    [
        b"",
        MAGIC,
        b"NODELTAS" + numbers(0, 0),
        MAGIC + numbers(-1, 0),
        MAGIC + numbers(1 << 60, 1, 0, 1 << 60),
        MAGIC + numbers(4, 1 << 61),
        MAGIC + numbers(4, -1),
        MAGIC + numbers(4, 1, 0, 5),
        MAGIC + numbers(4, 1, -2, 4),
        MAGIC + numbers(4, 1, 19_998, 4),
        MAGIC + numbers(4, 1, -1, 4) + b"abc",
        MAGIC + numbers(4, 1, -1, 4) + b"abcde",
        MAGIC + numbers(4, 2, 0, 8, 0, -4),
        MAGIC + numbers(9, 1, 0, 4),
        MAGIC + numbers(20_000 * 8, 8, *(0, 20_000) * 8),
    ],
)
def test_a_delta_that_is_none_is_refused(delta):
    with pytest.raises(ValueError, match="delta"):
        apply_delta(BASE, delta)


def test_a_base_is_hashed_once_for_all_differences(monkeypatch):
    steps, hashed = [], delta._hashes

    def counted(data, *, step):
        steps.append(step)
        return hashed(data, step=step)

    monkeypatch.setattr(delta, "_hashes", counted)
    base = DeltaBase(BASE)
    for at in (100, 200, 300):
        assert apply_delta(BASE, base.delta(BASE[at:])) == BASE[at:]
    assert steps.count(BLOCK) == 1

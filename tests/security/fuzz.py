"""Tries every reader with damaged inputs: `make fuzz MINUTES=5`, or python tests/security/fuzz.py.

Half of the time is shared alike, half by what an input costs. An input is a fault where the reader raises anything but
an error of edgeopt's, takes longer than 10 s, or makes the process grow by more than 300 MB. Faults are
kept in `out/fuzz/`, with what was raised. Prints one row a reader; ends with status 1 at a fault.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from memory import in_use_mb

LIMIT_S = 10
GROWTH_MB = 300
TRIED = 40
"""So many inputs say what one of a reader costs."""


class Hang(BaseException):
    """A reader took too long."""


@dataclass
class Outcome:
    """What came of one reader.

    Attributes:
        name: The reader.
        tried: Inputs.
        taken: Of these, those that were read without an error.
        faults: What was raised, to the first input that raised it.
        slowest_s: The longest that one took.
        growth_mb: How much the process grew meanwhile.
    """

    name: str
    tried: int = 0
    taken: int = 0
    faults: dict[str, bytes] = field(default_factory=dict)
    slowest_s: float = 0.0
    growth_mb: float = 0.0


def campaign(target, *, seed, seconds=float("inf"), count=sys.maxsize):
    """Returns the outcome of ``count`` inputs, or of as many as fit into ``seconds``."""
    chance, found = random.Random(f"{seed} {target.name}"), Outcome(target.name)  # noqa: S311
    target.read(target.honest)
    before, end = memory_mb(), time.monotonic() + seconds
    while found.tried < count and time.monotonic() < end:
        content = target.damage(chance, target.honest)
        started = time.monotonic()
        try:
            fault = tried(target, content)
        except Hang:
            fault = f"longer than {LIMIT_S} s"
        found.slowest_s = max(found.slowest_s, time.monotonic() - started)
        found.tried += 1
        found.taken += fault is None
        if fault:
            found.faults.setdefault(fault, content)
    found.growth_mb = memory_mb() - before
    if found.growth_mb > GROWTH_MB:
        found.faults.setdefault(f"it grew by {found.growth_mb:.0f} MB", b"")
    return found


def tried(target, content):
    """Returns '' where the reader refused in our words, None where it took it, else the fault."""
    from edgeopt.errors import EdgeoptError

    signal.signal(signal.SIGALRM, hang)
    signal.alarm(LIMIT_S)
    try:
        target.read(content)
    except EdgeoptError:
        return ""
    except Exception as error:  # noqa: BLE001 (what this is for)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: {error}"[
            :200
        ]
    finally:
        signal.alarm(0)
    return None


def hang(*_):
    raise Hang


def memory_mb():
    """Returns the most that this process has used; `resource` would begin with what its parent held."""
    return in_use_mb("VmHWM")


def shares(costs, seconds):
    """Returns how long to try each reader: half of the time alike, half by what an input costs."""
    return [seconds / 2 * (1 / len(costs) + cost / sum(costs)) for cost in costs]


def together(one, other):
    """Returns the outcome of two campaigns with one reader."""
    return Outcome(
        one.name,
        one.tried + other.tried,
        one.taken + other.taken,
        {**one.faults, **other.faults},
        max(one.slowest_s, other.slowest_s),
        one.growth_mb + other.growth_mb,
    )


def row(found):
    facts = (
        found.tried,
        found.taken,
        len(found.faults),
        f"{found.slowest_s:.2f}",
        f"{found.growth_mb:.0f}",
    )
    return "| " + " | ".join(map(str, (found.name, *facts))) + " |"


def keep(found, folder):
    for place, (fault, content) in enumerate(found.faults.items()):
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{found.name.replace(' ', '-')}-{place}"
        (folder / name).write_bytes(content)
        (folder / f"{name}.txt").write_text(fault + "\n")


def counted(chosen, args):
    """Yields what came of each reader after a number of inputs."""
    for target in chosen:
        yield campaign(target, seed=args.seed, count=args.count)


def timed(chosen, args):
    """Yields what came of each reader after its share of the time."""
    first, costs = [], []
    for target in chosen:
        begun = time.monotonic()
        first.append(campaign(target, seed=args.seed, count=TRIED))
        costs.append((time.monotonic() - begun) / TRIED)
    for place, share in enumerate(shares(costs, args.minutes * 60 - sum(costs) * TRIED)):
        more = campaign(chosen[place], seed=f"{args.seed} more", seconds=share)
        yield together(first[place], more)


def main():
    """Runs the campaign."""
    from targets import targets

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--count", type=int, help="so many inputs a reader, however long it takes")
    parser.add_argument("--seed", default=str(time.time_ns()))
    parser.add_argument("--only", default="", help="readers whose name has this in it")
    args = parser.parse_args()
    sys.stdout.write(
        f"seed {args.seed}\n\n| reader | inputs | taken | faults | slowest s | growth MB |\n"
    )
    sys.stdout.write("|---|---:|---:|---:|---:|---:|\n")
    with tempfile.TemporaryDirectory(prefix="edgeopt-fuzz-") as room:
        chosen = [t for t in targets(Path(room)) if args.only in t.name]
        every = []
        for found in counted(chosen, args) if args.count else timed(chosen, args):
            every.append(found)
            sys.stdout.write(row(found) + "\n")
            sys.stdout.flush()
            keep(found, Path("out/fuzz"))
    total, faults = sum(f.tried for f in every), [x for f in every for x in f.faults]
    sys.stdout.write(
        f"\n{total} inputs, {len(faults)} faults\n" + "".join(f"  {x}\n" for x in faults)
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

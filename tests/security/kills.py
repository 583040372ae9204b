"""Kills real runs at random moments and looks at what they leave: `make kills COUNT=300`.

Each run is a process that is forked from this one, which has imported everything. Half of the kills
come after a random time, half at a random change of a file (an audit hook in the run counts them).
After each kill: nothing half-written may be readable, what was there before is still readable, at
most one draft is left and no process; the next run works, and sweeps the draft. Prints one row a kind
of run; ends with status 1 at a fault.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

ALL = 300
ORPHANS_S = 30.0
"""Seconds within which what a killed run has started must end."""
CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
EVENTS = {
    *("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.chmod", "os.truncate"),
    *("shutil.rmtree", "sqlite3.connect", "os.symlink", "tempfile.mkdtemp"),
}
PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Ended:
    """How a forked process ended: ``done``, ``killed``, ``failed`` or ``hung``.

    Attributes:
        how: One of these.
        said: What it returned, or why it failed.
        seconds: How long it took.
        events: How often it changed files.
    """

    how: str
    said: str
    seconds: float
    events: int = 0


@dataclass
class Outcome:
    """What came of one kind of run; ``run_s`` is how long one takes that nobody kills."""

    name: str
    number: int = 1
    kills: int = 0
    too_late: int = 0
    states: Counter = field(default_factory=Counter)
    most_drafts: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    run_s: float = 0.0


def forked(call, room, *, limit_s, after_s=None, at_event=None):
    """Returns how a process ended that called ``call``, killed after a time or at an event, if at all."""
    reading, writing = os.pipe()
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        child(call, room, writing, at_event)
    os.close(writing)
    deadline = limit_s if after_s is None else min(after_s, limit_s)
    handle = os.pidfd_open(pid)
    ready = select.select([handle], [], [], deadline)[0]
    os.close(handle)
    if not ready:
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    seconds = time.monotonic() - started
    with os.fdopen(reading, "rb") as stream:
        content = stream.read() if os.WIFEXITED(status) else b""
    if content:
        return Ended(seconds=seconds, **json.loads(content))
    if not ready and after_s is None:
        return Ended("hung", f"longer than {limit_s:g} s", seconds)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return Ended("killed", "", seconds)
    return Ended("failed", f"wait status {status}: {last_words(room)}", seconds)


def child(call, room, writing, at_event):
    """Calls ``call``, says what came of it, and ends this process."""
    os.set_inheritable(writing, False)
    log = os.open(room / "log", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    events = watch(room, at_event)
    try:
        said = {"how": "done", "said": str(call() or "")}
    except BaseException as error:  # noqa: BLE001 (the parent tells it)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        said = {"how": "failed", "said": f"{type(error).__name__} at {place}: {error}"[:500]}
    os.write(writing, json.dumps({**said, "events": len(events)}).encode())
    os._exit(0)


def watch(room, at_event):
    """Counts what changes files below ``room``, and kills this process before number ``at_event``."""
    events = []

    def hook(event, arguments):
        if event == "open":
            flags = arguments[2]
            if not isinstance(flags, int) or not flags & CHANGES:
                return
        elif event not in EVENTS:
            return
        if str(room) not in str(arguments):
            return
        events.append(event)
        if len(events) == at_event:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return events


def last_words(room):
    with suppress(OSError):
        return (room / "log").read_text(errors="replace")[-300:]
    return ""


def campaign(job, room, chance, count, *, by_time=True):
    """Returns the outcome of ``count`` kills of ``job`` in the new folder ``room``.

    Every second one comes after a random time, where ``by_time``; the others at a change of a file.
    """
    room.mkdir()
    (room / "tmp").mkdir()
    surroundings(room)
    found = Outcome(job.name)
    begun = time.monotonic()
    whole = forked(lambda: job.run(room, 0), room, limit_s=job.limit_s)
    again = forked(lambda: job.run(room, 1), room, limit_s=job.limit_s)
    ended = forked(lambda: job.whole(room, 1), room, limit_s=job.limit_s)
    for one in (whole, again, ended):
        if one.how != "done":
            found.faults.append(f"without a kill: {one.how}: {one.said}")
            return found
    found.run_s = again.seconds
    while found.kills < count and found.too_late < count + 10:
        by_event = found.kills % 2 or not by_time
        at_event = chance.randint(1, max(1, again.events)) if by_event else None
        after_s = None if by_event else chance.uniform(0, found.run_s)
        fault = one_kill(job, room, found, after_s=after_s, at_event=at_event)
        if fault:
            when = f"after {after_s:.3f} s" if at_event is None else f"at change {at_event}"
            found.faults.append(f"kill {found.kills}, {when}: {fault}")
    if found.kills < count:
        found.faults.append(f"only {found.kills} of {count} kills came in time")
    found.seconds = time.monotonic() - begun
    return found


def one_kill(job, room, found, **when):
    """Kills a run, looks, runs again, looks again; returns what is wrong, if anything is."""
    found.number += 1
    call, before = partial(job.run, room, found.number), set(children())
    killed = forked(call, room, limit_s=job.limit_s, **when)
    if killed.how != "killed":
        found.too_late += 1
        if killed.how == "done":  # the machine is less busy than when the first run was timed
            found.run_s = min(found.run_s, killed.seconds)
        return "" if killed.how == "done" else f"{killed.how}: {killed.said}"
    found.kills += 1
    faults = [*left_running(before), *looked_at(job, room, found)]
    found.number += job.step
    again = forked(partial(job.run, room, found.number), room, limit_s=job.limit_s)
    ended = forked(partial(job.whole, room, found.number), room, limit_s=job.limit_s)
    for what, one in (("the next run", again), ("after the next run", ended)):
        if one.how != "done":
            faults.append(f"{what}: {one.how}: {one.said}")
    if drafts := [d for d in drafts_in(job.place(room)) if d.endswith(".draft")]:
        faults.append(f"not swept: {drafts}")
    return "; ".join(faults)


def looked_at(job, room, found):
    """Returns what is wrong with what a killed run has left, and counts it."""
    drafts = drafts_in(job.place(room))
    found.most_drafts = max(found.most_drafts, len(drafts))
    state = forked(partial(job.state, room, found.number), room, limit_s=job.limit_s)
    found.states[state.said if state.how == "done" else "bad"] += 1
    faults = [f"what was left: {state.how}: {state.said}"] if state.how != "done" else []
    return [*faults, f"{len(drafts)} drafts: {drafts}"] if len(drafts) > 1 else faults


def drafts_in(room):
    """Returns the drafts and temporary folders below ``room``; one within another counts once."""
    paths = (p for kind in (".*.draft", "edgeopt-run-*") for p in room.rglob(kind))
    found = sorted(str(p.relative_to(room)) for p in paths)
    return [one for one in found if not any(one.startswith(f"{o}/") for o in found)]


def children():
    """Returns the processes whose parent is this one; it inherits what killed runs have started."""
    here = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in here.read_text().split()]


def left_running(before):
    """Waits for what a killed run has started; returns a fault where it does not end, and ends it."""
    end = time.monotonic() + ORPHANS_S
    while orphans := set(children()) - before:
        for pid in orphans:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > end:
            return [f"still running: {[ended_now(pid) for pid in orphans]}"]
        time.sleep(0.01)
    return []


def ended_now(pid):
    """Kills a process; returns its command."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return command


def surroundings(room):
    """Gives runs folders of their own for what a user has."""
    for name in ("TMPDIR", "EDGEOPT_CACHE", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        os.environ[name] = str(room / "tmp")
    os.environ["EDGEOPT_HISTORY"] = "none"
    tempfile.tempdir = None


def shared(count, shares):
    """Returns ``count`` in whole parts as large as ``shares`` are: the largest remainders get what is left."""
    exact = [count * share / sum(shares) for share in shares]
    parts = [int(part) for part in exact]
    by_remainder = sorted(range(len(parts)), key=lambda place: parts[place] - exact[place])
    for place in by_remainder[: count - sum(parts)]:
        parts[place] += 1
    return parts


def row(found):
    old = found.states["old"] + found.states["nothing yet"]
    new = found.states["new"] + found.states["kept"]
    facts = (found.kills, old, new, found.most_drafts, len(found.faults), f"{found.seconds:.0f}")
    return "| " + " | ".join(map(str, (found.name, *facts))) + " |\n"


def main():
    """Runs the campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=ALL)
    parser.add_argument("--seed", default=str(time.time_ns()))
    parser.add_argument("--only", default="", help="runs whose name this regular expression fits")
    parser.add_argument("--changes-only", action="store_true", help="kill at changes of files only")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch: its threads do not survive a fork
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory(prefix="edgeopt-kills-") as folder:
        return campaigns(Path(folder), args)


def campaigns(room, args):
    from jobs import jobs

    (room / "tmp").mkdir()
    surroundings(room)
    chosen, close = jobs(room, args.only)
    counts = shared(args.count, [job.share for job in chosen])
    sys.stdout.write(
        f"seed {args.seed}\n\n| run | kills | old or nothing | new or taken up | most drafts "
        "| faults | s |\n|---|---:|---:|---:|---:|---:|---:|\n"
    )
    every = []
    try:
        for job in chosen:
            job.warm_up(room / "tmp")
        for place, (job, count) in enumerate(zip(chosen, counts, strict=True)):
            chance = random.Random(f"{args.seed} {job.name}")  # noqa: S311
            here = room / f"job{place}"
            every.append(campaign(job, here, chance, count, by_time=not args.changes_only))
            sys.stdout.write(row(every[-1]))
            sys.stdout.flush()
    finally:
        close()
    faults = [f"{one.name}: {fault}" for one in every for fault in one.faults]
    said = "".join(f"  {fault}\n" for fault in faults)
    sys.stdout.write(f"\n{sum(one.kills for one in every)} kills, {len(faults)} faults\n{said}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

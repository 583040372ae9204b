"""Meets a device that floods, hangs and lies: `make hostile-device`.

Prints one row a behaviour, with the seconds until the exchange had ended; ends with status 1 where one
did not end in time, was taken, raised something else, or left a process.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def met(behaviour, hostile):
    """Returns what is wrong with how one ended, and the seconds that it took in all."""
    begun = time.monotonic()
    try:
        seconds = behaviour(hostile)
    except Exception as error:  # noqa: BLE001 (that is what the row says)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: {error}"
        return said[:200], time.monotonic() - begun
    finally:
        hostile.restore()
        hostile.end()
    return "", seconds


def main():
    """Meets all of them, one after the other."""
    from hostile import BEHAVIOURS, LIMIT_S, PATIENCE_S, hostile_device
    from sshd import Sshd

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="behaviours whose name has this in it")
    args = parser.parse_args()
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)  # sshd insists on it
    sys.stdout.write(f"a device has {LIMIT_S:g} s, an exchange {PATIENCE_S:g} s\n\n")
    sys.stdout.write("| behaviour | ended after s | fault |\n|---|---:|---|\n")
    faults, longest, count = 0, 0.0, 0
    with (
        tempfile.TemporaryDirectory(prefix="edgeopt-hostile-") as folder,
        hostile_device(Sshd, Path(folder)) as hostile,
    ):
        for name, behaviour in BEHAVIOURS.items():
            if args.only not in name:
                continue
            fault, seconds = met(behaviour, hostile)
            count, faults, longest = count + 1, faults + bool(fault), max(longest, seconds)
            sys.stdout.write(f"| {name} | {seconds:.1f} | {fault} |\n")
            sys.stdout.flush()
    sys.stdout.write(f"\n{count} behaviours, {faults} faults, the longest {longest:.1f} s\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

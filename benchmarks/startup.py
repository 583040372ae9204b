"""How long `import edgeopt` and `edgeopt --help` take, and whether torch stays out.

    python benchmarks/startup.py

Each in a fresh interpreter, files already in the system's cache; the median of the runs. The
import's time is measured inside the interpreter, that of the command from outside.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from _common import Report, option_parser

RUNS = 15
IMPORT = """
import sys, time
start = time.perf_counter()
import edgeopt
print(time.perf_counter() - start, "torch" in sys.modules)
"""
GOAL_IMPORT_S, GOAL_HELP_S = 0.15, 0.4


def main() -> None:
    """Runs everything, prints it and writes it."""
    option_parser(__doc__).parse_args()
    report = Report("startup")
    seconds, torch = _imports()
    report.add(
        "import_s",
        {"median": seconds, "goal": GOAL_IMPORT_S, "torch_imported": torch},
        f"import edgeopt   {seconds:.3f} s (goal {GOAL_IMPORT_S}), torch imported: {torch}",
    )
    command = [str(Path(sys.executable).parent / "edgeopt"), "--help"]
    shown = statistics.median(_seconds(command) for _ in range(RUNS))
    report.add(
        "help_s",
        {"median": shown, "goal": GOAL_HELP_S},
        f"edgeopt --help   {shown:.3f} s (goal {GOAL_HELP_S})",
    )
    bare = statistics.median(_seconds([sys.executable, "-c", "pass"]) for _ in range(RUNS))
    report.add("python_s", {"median": bare}, f"python -c pass   {bare:.3f} s")
    report.write()


def _imports() -> tuple[float, bool]:
    command = [sys.executable, "-c", IMPORT]
    runs = [subprocess.check_output(command, text=True).split() for _ in range(RUNS)]
    return statistics.median(float(r[0]) for r in runs), any(r[1] == "True" for r in runs)


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

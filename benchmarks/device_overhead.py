"""What a run on a device behind SSH costs beside the inferences.

    python benchmarks/device_overhead.py                            # an sshd of its own, on the loopback
    python benchmarks/device_overhead.py --device ssh://pi@raspberrypi.local

The bundle holds 5 MiB in eight files. Each figure is the median of five.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from _common import Report, option_parser

from edgeopt.devices import find_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgeopt.contracts import Device

SERVER = Path(__file__).parents[1] / "tests" / "device" / "sshd.py"
REPEATS = 5
GOAL_AGAIN_S = 1.0


@contextmanager
def loopback() -> Iterator[str]:
    """Yields the address of a server that is ended afterwards."""
    spec = importlib.util.spec_from_file_location("sshd", SERVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        server = module.Sshd(Path(folder))
        server.start()
        os.environ["EDGEOPT_SSH"] = f"ssh -F {server.config}"
        try:
            yield server.spec
        finally:
            server.stop()


def seconds(function: Callable[[], object]) -> float:
    """Returns how long ``function`` takes."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def figures(device: Device, folder: Path) -> dict[str, float]:
    """Returns what was measured, in seconds."""
    for number in range(8):
        (folder / f"part{number}").write_bytes(os.urandom(5 << 17))
    there = PurePosixPath("overhead")
    found = {
        "connect and ask what it is": seconds(device.workdir),
        "push 5 MiB, new": seconds(lambda: device.push(folder, there)),
    }
    again = [seconds(lambda: device.push(folder, there)) for _ in range(REPEATS)]
    found["push it again, unchanged"] = statistics.median(again)
    changed = []
    for number in range(REPEATS):
        (folder / "part0").write_bytes(b"%d" % number)
        changed.append(seconds(lambda: device.push(folder, there)))
    found["push it again, one small file changed"] = statistics.median(changed)
    runs = [seconds(lambda: device.run(["true"])) for _ in range(REPEATS)]
    found["run a program that does nothing"] = statistics.median(runs)
    return found


def main() -> None:
    """Prints the figures and keeps them."""
    parser = option_parser(__doc__)
    parser.add_argument("--device", help="its address or name")
    given = parser.parse_args().device
    with (
        loopback() if given is None else _same(given) as spec,
        tempfile.TemporaryDirectory() as folder,
        find_device(spec) as device,
    ):
        found = figures(device, Path(folder))
        device.run(["rm", "-rf", str(device.workdir() / "overhead")])
    report = Report("device_overhead")
    for name, value in found.items():
        goal = f" (goal {GOAL_AGAIN_S:g})" if "unchanged" in name and given is None else ""
        report.add(
            name,
            {"seconds": value, "device": given or "loopback"},
            f"{name:38}{value:6.3f} s{goal}",
        )
    report.write()


@contextmanager
def _same(spec: str) -> Iterator[str]:
    yield spec


if __name__ == "__main__":
    main()

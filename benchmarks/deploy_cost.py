"""What a deployment costs: seconds and peak memory for EfficientNet-Lite0 to one target.

    python benchmarks/deploy_cost.py [target ...]       # rpi4 and host where none is named

Each target in a fresh process: `edgeopt.deploy` with 100 calibration inputs, everything that it
does by default included (capture, quantization, compiling, parity, the float model for comparison,
writing the bundle). The imports and the loading of the model count to the process, not to the call.
"""

from __future__ import annotations

import json
import subprocess
import sys

from _common import Report, option_parser

GOAL_S, GOAL_MB = 60.0, 2048
CHILD = """
import json, resource, sys, time
started = time.perf_counter()
sys.path.insert(0, sys.argv[1])
import torch
from _lite0 import lite0
from photographs import calibration_set
import edgeopt
model, data = lite0(), torch.from_numpy(calibration_set(100))
before = time.perf_counter()
deployment = edgeopt.deploy(
    model, sys.argv[2], example_inputs=(data[:1],), calibration_data=list(data.split(1))
)
after = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
cpu = time.process_time()
print(json.dumps({
    "deploy_s": after - before, "process_s": after - started, "cpu_s": cpu,
    "peak_mb": peak, "peak_mb_largest_child": children,
    "backend": deployment.plan.backend, "precision": deployment.precision,
}))
"""


def main() -> None:
    """Runs everything, prints it and writes it."""
    parser = option_parser(__doc__)
    parser.add_argument("targets", nargs="*", default=["rpi4", "host"], metavar="target")
    options = parser.parse_args()
    report = Report("deploy_cost")
    for target in options.targets:
        held = _deployed(target)
        text = (
            f"{target:6} ({held['backend']}, {held['precision']}): deploy {held['deploy_s']:.1f} s "
            f"(goal {GOAL_S:.0f}; {held['cpu_s']:.1f} s of CPU in the whole process), "
            f"peak memory {held['peak_mb']:.0f} MiB (goal {GOAL_MB})"
        )
        report.add(target, held, text)
    report.write()


def _deployed(target: str) -> dict[str, float]:
    folder = __file__.rpartition("/")[0] or "."
    done = subprocess.run(
        [sys.executable, "-c", CHILD, folder, target], stdout=subprocess.PIPE, text=True, check=True
    )
    held: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return held


if __name__ == "__main__":
    main()

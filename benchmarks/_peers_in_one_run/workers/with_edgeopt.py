"""edgeopt: ``edgeopt.deploy`` as it is, with the precision that it chooses unless one is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from _worker import Case, work

import edgeopt

if TYPE_CHECKING:
    from pathlib import Path

    from _worker import Runner


def _deploy(case: Case, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    deployment = edgeopt.deploy(
        case.program(),
        "host",
        calibration_data=case.tensors(),
        output=folder / "bundle",
        **settings,
    )
    for name, content in deployment.bundle.artifact().files.items():
        path = folder / "artifact" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return {"precision": deployment.precision}


def _load(_: Case, folder: Path, __: dict[str, Any], threads: int) -> Runner:
    bundle = edgeopt.load(folder / "bundle", threads=threads)
    return lambda sample: np.asarray(bundle(*sample))


if __name__ == "__main__":
    work(_deploy, _load)

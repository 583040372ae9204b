"""Wheels inside a bundle, for a device without a network: ``lib/wheels/*.whl``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgeopt.devices.platforms import target_interpreter
from edgeopt.devices.wheels import download_wheels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.bundles.read import Bundle
    from edgeopt.contracts import DeviceRuntime, Target

__all__ = ["WHEELS", "unpack_wheels", "with_wheels"]

WHEELS = "lib/wheels/"


def with_wheels(runtime: DeviceRuntime, target: Target) -> DeviceRuntime:
    """Returns ``runtime`` with the wheels that it needs on ``target`` among its files.

    They are those of its requirements and of all that these need, for the target's processor, C
    library and Python. A runtime that names none is returned as it is.

    Raises:
        DeviceError: A requirement has no wheel there, or the index cannot be reached.
    """
    if not runtime.wheels:
        return runtime
    python = target_interpreter(target)
    requirements = [wheel.requirement for wheel in runtime.wheels]
    with tempfile.TemporaryDirectory(prefix="edgeopt-") as folder:
        wheels = download_wheels(requirements, Path(folder), where=target.name, python=python)
        files = {f"{WHEELS.removeprefix('lib/')}{one.name}": one.read_bytes() for one in wheels}
    return msgspec.structs.replace(runtime, files={**runtime.files, **files})


def unpack_wheels(bundle: Bundle, folder: Path) -> Sequence[str]:
    """Returns the paths of the wheels in ``bundle``, written to ``folder``; none where it has none.

    Raises:
        BundleError: A file changed since the bundle was read.
    """
    names = [name for name in bundle.manifest.files if name.startswith(WHEELS)]
    paths = [folder / name.removeprefix(WHEELS) for name in names]
    for name, path in zip(names, paths, strict=True):
        path.write_bytes(bundle.read(name))
    return [str(path) for path in paths]

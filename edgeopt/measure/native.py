"""A bundle on a device without Python: its program ``model/run`` does the work.

Files are checked as they are copied; golden samples are compared on this machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edgeopt.boundary import decode_json
from edgeopt.bundles.layout import NATIVE
from edgeopt.bundles.npy import read_npy, write_npy
from edgeopt.devices.process import ended
from edgeopt.errors import DeviceError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path, PurePosixPath

    from edgeopt.bundles import Bundle
    from edgeopt.contracts import Device, Signature

__all__ = ["NativeRunner", "has_python", "needs_native"]

_USAGE = 2


def needs_native(bundle: Bundle, device: Device) -> bool:
    """Returns whether ``bundle`` has to run without Python on ``device``, and can.

    That is so where the device has no Python, or one without numpy and no wheel is known for it.
    """
    if NATIVE not in bundle.manifest.files:
        return False
    if not has_python(device):
        return True
    if bundle.manifest.requirements:
        return False
    return device.run(["python3", "-c", "import numpy"]).returncode != 0


def has_python(device: Device) -> bool:
    """Returns whether ``device`` has a Python; one that does not say has."""
    about = getattr(device, "about", None)
    return about is None or bool(about.python)


class NativeRunner:
    """The program of a bundle that lies on a device.

    Args:
        bundle: The bundle.
        device: The device.
        root: Where the bundle lies there.
        timeout_s: Of each run.
    """

    def __init__(
        self, bundle: Bundle, device: Device, root: PurePosixPath, timeout_s: float
    ) -> None:
        self._bundle = bundle
        self._device = device
        self._program = str(root / NATIVE)
        self._timeout_s = timeout_s

    def run_each(
        self,
        columns: Sequence[np.ndarray],
        signature: Signature,
        local: Path,
        remote: PurePosixPath,
        words: Sequence[str],
    ) -> list[np.ndarray]:
        """Returns the outputs, stacked as the inputs are.

        Args:
            columns: One array for each input; axis 0 counts samples.
            signature: Inputs and outputs of what is called.
            local: A folder here.
            remote: A folder there.
            words: What is called, and how.

        Raises:
            DeviceError: It cannot be run there.
        """
        files = self.send(columns, signature, local, remote)
        for place, spec in enumerate(signature.outputs):
            files += ["--output", f"{spec.name}={remote / f'out_{place}.npy'}"]
        self.call([*files, "--each", *words])
        return [self._pull(place, local, remote) for place in range(len(signature.outputs))]

    def benchmark(self, words: Sequence[str], remote: PurePosixPath) -> None:
        """Has it measure itself and write ``times.json`` into the folder ``remote``.

        Raises:
            DeviceError: It cannot be run there.
        """
        self.call([*words, "--json", str(remote / "times.json")])

    def call(self, words: Sequence[str]) -> None:
        """Runs it.

        Raises:
            InputError: It did not understand.
            DeviceError: It failed.
        """
        result = self._device.run([self._program, *words], timeout_s=self._timeout_s)
        text = (result.stderr.strip() or result.stdout.strip() or "it said nothing")[-2000:]
        if result.returncode == _USAGE:
            raise InputError(text, where=self._device.name)
        if result.returncode != 0:
            what = f"model/run {ended(result.returncode)}: {text}"
            raise DeviceError(what, where=self._device.name)

    def named(self, text: bytes) -> bytes:
        """Returns the JSON of a benchmark with the bundle's name and digest filled in.

        Raises:
            DeviceError: It is no JSON.
        """
        prefix = "the benchmark's JSON cannot be read: "
        where = self._device.name
        report = decode_json(text, dict[str, Any], where=where, error=DeviceError, prefix=prefix)
        report |= {"bundle": self._bundle.name, "digest": self._bundle.digest}
        return msgspec.json.encode(report)

    def send(
        self,
        columns: Sequence[np.ndarray],
        signature: Signature,
        local: Path,
        remote: PurePosixPath,
    ) -> list[str]:
        """Returns the words that make it read ``columns``, which are on the device then."""
        words = []
        for place, (spec, column) in enumerate(zip(signature.inputs, columns, strict=True)):
            name = f"in_{place}.npy"
            (local / name).write_bytes(write_npy(np.ascontiguousarray(column)))
            self._device.push(local / name, remote / name)
            words += ["--input", f"{spec.name}={remote / name}"]
        return words

    def _pull(self, place: int, local: Path, remote: PurePosixPath) -> np.ndarray:
        name = f"out_{place}.npy"
        self._device.pull(remote / name, local / name)
        return read_npy((local / name).read_bytes(), name)

"""A device that kernels are measured on: TVM's RPC server there, and a tunnel to it."""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from edgeopt.contracts import ForwardsPorts
from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.contracts import Device

__all__ = ["Place", "serving"]

_FOLDER = PurePosixPath("tvm-rpc")
_PACKAGES = PurePosixPath("tvm-rpc-packages")
_START_S, _A_DAY_S = 300.0, 86400.0


@dataclass(frozen=True)
class Place:
    """Where a device's server is reached from here.

    Attributes:
        host: An address of this machine: the near end of the tunnel.
        port: Likewise.
        key: What the server asks for.
        device: The device's name.
        emulated: Whether times there say nothing of any device.
    """

    host: str
    port: int
    key: str
    device: str
    emulated: bool


@contextmanager
def serving(device: Device) -> Iterator[Place]:
    """Yields the place of an RPC server on ``device``, which ends with the block.

    Raises:
        DeviceError: TVM cannot be installed or started there, or there is no tunnel to it.
    """
    if not isinstance(device, ForwardsPorts):
        what = "kernels cannot be measured there: its transport has no tunnel"
        raise DeviceError(what, where=device.name)
    _install(device)
    with ExitStack() as stack:
        key = secrets.token_hex(16)
        running = _Running(device, key)
        stack.callback(running.stop)
        running.start()
        host, port = stack.enter_context(device.forward(running.port()))
        yield Place(host, port, key, device.name, device.emulated)


def _install(device: Device) -> None:
    version = metadata.version("apache-tvm")
    test = "import tvm.rpc, importlib.metadata as m; print(m.version('apache-tvm'))"
    process = device.run(["python3", "-c", test], env=_environment(device), timeout_s=_START_S)
    if process.returncode != 0 or process.stdout.strip() != version:
        interface = metadata.version("apache-tvm-ffi")  # another one may not fit
        device.install([f"apache-tvm=={version}", f"apache-tvm-ffi=={interface}"], _PACKAGES)


def _environment(device: Device) -> dict[str, str]:
    return {
        "PYTHONPATH": str(device.workdir() / _PACKAGES),
        "TVM_USE_RUNTIME_LIB": "1",
        "TVM_FFI_DISABLE_TORCH_C_DLPACK": "1",
    }


class _Running:
    """The server, started through the device's transport by a thread that waits for its end."""

    def __init__(self, device: Device, key: str) -> None:
        self._device = device
        self._folder = device.workdir() / f"{_FOLDER}-{key[:8]}"
        self._key = key
        self._said = ""
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        """Starts it."""
        source = resources.files("edgeopt_tvm.tuning.device").joinpath("server.py")
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / "server.py").write_bytes(source.read_bytes())
            self._device.push(Path(scratch), self._folder)
        self._thread.start()

    def _serve(self) -> None:
        command = ["python3", str(self._folder / "server.py"), str(self._folder), self._key]
        try:
            process = self._device.run(command, env=_environment(self._device), timeout_s=_A_DAY_S)
            self._said = (
                process.stderr.strip()[-400:] or f"it ended with status {process.returncode}"
            )
        except DeviceError as error:
            self._said = str(error)

    def port(self) -> int:
        """Returns the port it listens on there.

        Raises:
            DeviceError: It does not start.
        """
        end = time.monotonic() + _START_S
        with tempfile.TemporaryDirectory() as scratch:
            near = Path(scratch) / "port"
            while self._thread.is_alive() and time.monotonic() < end:
                with suppress(DeviceError):
                    self._device.pull(self._folder / "port", near)
                    return int(near.read_text(encoding="ascii"))
                time.sleep(0.3)
        raise DeviceError(f"TVM's RPC server does not start: {self._said}", where=self._device.name)

    def stop(self) -> None:
        """Tells it to end, and waits a little."""
        with tempfile.TemporaryDirectory() as scratch, suppress(DeviceError):
            (Path(scratch) / "stop").touch()
            self._device.push(Path(scratch) / "stop", self._folder / "stop")
        self._thread.join(10)

"""Where kernels run: in this process, or on a device that TVM's RPC reaches."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import tvm

from edgeopt_tvm.machine import machine_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt_tvm.machine import Machine

    Answer = dict[str, Any]

__all__ = ["LocalExecutor", "Place", "RemoteExecutor", "compiled"]

_LINK_S = 120


class Place(Protocol):
    """Where kernels run."""

    def during(self, work: Callable[[], Answer]) -> Answer:
        """Returns what ``work`` answers, which may load and run kernels; or why it could not."""
        ...

    def device(self) -> Any:
        """Returns TVM's device there, None for memory that is shared with this process."""
        ...

    def plain(self, function: Any) -> Any:
        """Returns ``function``, compiled for this process to say what is right."""
        ...

    def build(self, function: Any) -> Any:
        """Returns ``function`` as code for there."""
        ...

    def load(self, built: Any) -> Any:
        """Returns a module of what `build` made, which can be called."""
        ...


def _code(function: Any, machine: Machine) -> Any:
    with tvm.transform.PassContext(opt_level=3, config={"tirx.disable_assert": True}):
        module = tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
        return tvm.compile(module, target=machine.tvm_target())  # as in a bundle


def compiled(function: Any, machine: Machine) -> Any:
    """Returns a PrimFunc as machine code that can be called here."""
    return _code(function, machine).jit()


class LocalExecutor:
    """This process."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def during(self, work: Callable[[], Answer]) -> Answer:
        """Returns what ``work`` answers."""
        return work()

    def device(self) -> Any:
        """Returns None: arrays are shared."""
        return None

    def plain(self, function: Any) -> Any:
        """Returns ``function``, compiled without a schedule."""
        return compiled(function, self._machine)

    def build(self, function: Any) -> Any:
        """Returns ``function``, compiled."""
        return compiled(function, self._machine)

    def load(self, built: Any) -> Any:
        """Returns ``built``: it can be called."""
        return built


class RemoteExecutor:
    """A device behind TVM's RPC. Each request has a session of its own, which the server can end.

    Args:
        machine: What code is made for.
        place: ``host``, ``port`` and ``key`` of the server.
        limit_s: Seconds after which the server ends a session.
    """

    def __init__(self, machine: Machine, place: dict[str, Any], limit_s: float) -> None:
        from edgeopt.registry import detect_host  # noqa: PLC0415 (only here)

        self._machine, self._here = machine, machine_of(detect_host())
        self._place, self._limit_s = place, limit_s
        self._session: Any = None
        self._loaded: dict[bytes, Any] = {}

    def during(self, work: Callable[[], Answer]) -> Answer:
        """Returns what ``work`` answers in a new session; ``lost`` where there is no device."""
        try:
            self._session = self._connect()
        except Exception as error:  # noqa: BLE001 (whatever a socket raises)
            return {"status": "lost", "detail": f"the device cannot be reached: {error}"[:500]}
        try:
            return work()
        except Exception as error:  # noqa: BLE001 (TVM's RPC raises many types)
            return self._ended(error)
        finally:
            self._loaded.clear()
            self._session = None

    def device(self) -> Any:
        """Returns the processor of the device."""
        return self._session.cpu()

    def plain(self, function: Any) -> Any:
        """Returns ``function``, compiled for this machine without a schedule."""
        return compiled(function, self._here)

    def build(self, function: Any) -> Any:
        """Returns ``function`` as a library for the device."""
        from edgeopt_tvm.linking import zig_target  # noqa: PLC0415 (only here)

        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            _code(function, self._machine).mod.write_to_file(str(folder / "kernel.o"), "o")
            zig = [sys.executable, "-m", "ziglang", "cc", "-target", zig_target(self._machine)]
            command = [*zig, "-shared", "-o", "kernel.so", "kernel.o", "-lm"]
            process = subprocess.run(
                command, cwd=folder, capture_output=True, timeout=_LINK_S, check=False
            )
            if process.returncode != 0:
                raise RuntimeError(process.stderr.decode("utf-8", "replace")[-500:])
            return (folder / "kernel.so").read_bytes()

    def load(self, built: Any) -> Any:
        """Returns the library, loaded in this session."""
        if built not in self._loaded:
            file = f"kernel{len(self._loaded)}.so"
            with tempfile.TemporaryDirectory() as scratch:
                path = Path(scratch) / file
                path.write_bytes(built)
                self._session.upload(str(path))
            self._loaded[built] = self._session.load_module(file)
        return self._loaded[built]

    def _connect(self) -> Any:
        return tvm.rpc.connect(
            self._place["host"],
            self._place["port"],
            key=self._place["key"],
            session_timeout=self._limit_s,
        )

    def _ended(self, error: Exception) -> Answer:
        """Returns whether a candidate took its session down, or the device is gone."""
        text = str(error)
        if "SessionTimeout" in text:
            return {"status": "hung", "detail": f"it took longer than {self._limit_s:g} s there"}
        try:
            self._connect()
        except Exception:  # noqa: BLE001 (as above)
            return {"status": "lost", "detail": "the device went away"}
        return {"status": "crashed", "detail": f"its session ended: {text}"[-500:]}

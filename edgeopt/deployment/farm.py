"""Jobs on a Ray cluster: for farms of devices, that hang on many machines."""

from __future__ import annotations

import os
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any

from edgeopt.errors import DeviceError, InputError, PluginError
from edgeopt.installation import install_command

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["RayExecutor"]


class RayExecutor(Executor):
    """Runs jobs on a Ray cluster, each where Ray has room; devices are named as they are there.

    Args:
        where: ``ray`` for the cluster that this process is connected to, else the one that
            ``RAY_ADDRESS`` names, else one on this machine alone; ``ray://head:10001`` for the one
            at that address.
        job: Ray's options of each job, for example ``{"resources": {"bench": 1}}``; no processor is
            asked for where None, since what is measured is the device.

    Raises:
        InputError: ``where`` names no cluster.
        PluginError: Ray is not installed.
        DeviceError: The cluster cannot be reached.
    """

    def __init__(self, where: str = "ray", *, job: dict[str, Any] | None = None) -> None:
        if where != "ray" and not where.startswith("ray://"):
            what = f'expected "ray" or "ray://HOST:PORT", got {where!r}'
            raise InputError(what, where="executor", hint="or pass an object with submit()")
        self._ray = _ray()
        self._job = {"num_cpus": 0} if job is None else job
        self._is_ours = where != "ray" or not self._ray.is_initialized()
        if self._is_ours:
            _connect(self._ray, where)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Returns the future of ``fn(*args, **kwargs)``, run somewhere in the cluster."""
        remote = self._ray.remote(**self._job)(fn)
        future: Future[Any] = remote.remote(*args, **kwargs).future()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 (its base's)
        """Ends the connection, where this object made it."""
        if self._is_ours:
            self._ray.shutdown()
            self._is_ours = False


def _ray() -> ModuleType:
    # Ray sends statistics home unless told not to; a measurement is nobody else's business.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise PluginError(
            "Ray is not installed", where="executor", hint=install_command("ray")
        ) from error
    module: ModuleType = ray
    return module


def _connect(ray: ModuleType, where: str) -> None:
    address = None if where == "ray" else where
    try:
        ray.init(address=address, include_dashboard=False if address is None else None,
                 log_to_driver=False, logging_level="ERROR")  # fmt: skip
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        hint = "`ray status` there says whether it runs"
        raise DeviceError(f"no Ray cluster answers: {error}", where=where, hint=hint) from error

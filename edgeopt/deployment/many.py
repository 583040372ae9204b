"""Measures a bundle on several devices side by side; one that fails does not lose the others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.bundles import read_bundle
from edgeopt.deployment.farm import RayExecutor
from edgeopt.deployment.on_device import profile_on
from edgeopt.errors import DeviceError, EdgeoptError, InputError
from edgeopt.files import temporary_folder
from edgeopt.measure.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor, Future

    from edgeopt.bundles import Bundle
    from edgeopt.contracts import Device

__all__ = ["Outcome", "profile_many"]


class Outcome(msgspec.Struct, frozen=True):
    """What came of one device.

    Attributes:
        device: How the device was called.
        profile: What was measured; None where it failed.
        error: Why it failed; None where it did not.
    """

    device: str
    profile: Profile | None = None
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        """Whether it was measured."""
        return self.error is None

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain JSON types."""
        return {
            "device": self.device,
            "profile": None if self.profile is None else self.profile.to_dict(),
            "error": None if self.error is None else str(self.error),
        }


def profile_many(
    bundle: Bundle,
    devices: Sequence[str | Device],
    *,
    executor: Executor | str | None = None,
    **options: Any,
) -> list[Outcome]:
    """Returns what came of each device, in their order.

    Args:
        bundle: The bundle.
        devices: Names, addresses or devices; a device that is passed stays open.
        executor: What runs the measurements. None: a thread for each device. ``ray`` or
            ``ray://HOST:PORT``: a Ray cluster (`RayExecutor`). Or anything with ``submit`` as
            `concurrent.futures.Executor` has it; it is given the bundle's content, so its workers
            may be other processes or machines, and wants devices by name there.
        **options: As `edgeopt.measure.profile_bundle` takes them.

    Raises:
        InputError: There is no device, one is named twice, or ``executor`` names nothing known.
        PluginError: Ray is not installed.
        DeviceError: The cluster cannot be reached.
    """
    names = [one if isinstance(one, str) else one.name for one in devices]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        what = f"{twice[0]!r} is named twice" if twice else "no device is named"
        raise InputError(what, where="devices")
    if isinstance(executor, str):
        with RayExecutor(executor) as cluster:
            return _elsewhere(cluster, bundle, devices, options)
    if executor is not None:
        return _elsewhere(executor, bundle, devices, options)
    with ThreadPoolExecutor(len(names), thread_name_prefix="edgeopt-device") as threads:
        futures = [
            threads.submit(copy_context().run, _measure, bundle, one, options) for one in devices
        ]
        return [future.result() for future in futures]


def _elsewhere(
    executor: Executor, bundle: Bundle, devices: Sequence[str | Device], options: dict[str, Any]
) -> list[Outcome]:
    content = bundle.pack()
    jobs: list[Future[Outcome]] = [
        executor.submit(_measure_content, content, device, options) for device in devices
    ]
    return [_outcome(job, device) for job, device in zip(jobs, devices, strict=True)]


def _outcome(job: Future[Outcome], device: str | Device) -> Outcome:
    """Returns what came of a job; one whose worker died does not lose the others either."""
    try:
        return job.result()
    except Exception as error:  # noqa: BLE001 (each executor has errors of its own)
        name = device if isinstance(device, str) else device.name
        lines = str(error).strip().splitlines()
        what = (
            f"its job ended without a result: {type(error).__name__}: {lines[-1] if lines else ''}"
        )
        return Outcome(name, error=DeviceError(what.rstrip(": "), where=name))


def _measure_content(content: bytes, device: str | Device, options: dict[str, Any]) -> Outcome:
    with temporary_folder() as folder:
        file = Path(folder, "bundle.zip")
        file.write_bytes(content)
        return _measure(read_bundle(file), device, options)


def _measure(bundle: Bundle, device: str | Device, options: dict[str, Any]) -> Outcome:
    name = device if isinstance(device, str) else device.name
    try:
        return Outcome(name, profile=profile_on(bundle, device, **options))
    except (EdgeoptError, OSError) as error:
        return Outcome(name, error=error)

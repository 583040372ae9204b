"""Measures a bundle on several devices side by side; one that fails does not lose the others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.deployment.on_device import profile_on
from edgeopt.errors import EdgeoptError, InputError
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
    executor: Executor | None = None,
    **options: Any,
) -> list[Outcome]:
    """Returns what came of each device, in their order.

    Args:
        bundle: The bundle.
        devices: Names, addresses or devices; a device that is passed stays open.
        executor: What runs the measurements: anything with ``submit`` as
            `concurrent.futures.Executor` has it. A thread for each device where None. One that
            starts processes takes names of devices, not devices.
        **options: As `edgeopt.measure.profile_bundle` takes them.

    Raises:
        InputError: There is no device, or one is named twice.
    """
    names = [one if isinstance(one, str) else one.name for one in devices]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        what = f"{twice[0]!r} is named twice" if twice else "no device is named"
        raise InputError(what, where="devices")
    if executor is not None:
        return _gather(executor, bundle, devices, options)
    with ThreadPoolExecutor(len(names), thread_name_prefix="edgeopt-device") as threads:
        return _gather(threads, bundle, devices, options)


def _gather(
    executor: Executor, bundle: Bundle, devices: Sequence[str | Device], options: dict[str, Any]
) -> list[Outcome]:
    futures: list[Future[Outcome]] = [
        executor.submit(_measure, bundle, device, options) for device in devices
    ]
    return [future.result() for future in futures]


def _measure(bundle: Bundle, device: str | Device, options: dict[str, Any]) -> Outcome:
    name = device if isinstance(device, str) else device.name
    try:
        return Outcome(name, profile=profile_on(bundle, device, **options))
    except (EdgeoptError, OSError) as error:
        return Outcome(name, error=error)

"""One thing done with a bundle on a device, from pushing it to removing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.devices.lock import measuring
from edgeopt.measure.on_device import PlacedBundle

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from edgeopt.bundles import Bundle
    from edgeopt.contracts import Device
    from edgeopt.measure.on_device import Verification
    from edgeopt.measure.profile import Profile

__all__ = ["profile_bundle", "run_on_device", "verify_on_device"]


def profile_bundle(
    bundle: Bundle, device: Device, *, timeout_s: float = 600.0, **how: Any
) -> Profile:
    """Returns times, memory and facts of ``bundle`` on ``device``.

    Args:
        bundle: The bundle.
        device: The device; the bundle's requirements are installed there if they are missing.
        timeout_s: End the program on the device then.
        **how: Fields of `Timing`: ``runs``, ``warmup``, ``threads``, ``max_seconds``, ``min_seconds``
            and ``cores``.

    Raises:
        DeviceError: The device cannot be prepared, or the bundle does not run there.
    """
    with measuring(device):
        return PlacedBundle.push(bundle, device, timeout_s=timeout_s).profile(**how)


def verify_on_device(bundle: Bundle, device: Device, *, timeout_s: float = 600.0) -> Verification:
    """Returns whether every file and every golden sample of ``bundle`` is right on ``device``.

    Raises:
        DeviceError: The device cannot be prepared, or the bundle does not run there.
    """
    return PlacedBundle.push(bundle, device, timeout_s=timeout_s).verify()


def run_on_device(
    bundle: Bundle,
    device: Device,
    inputs: Sequence[np.ndarray],
    *,
    threads: int = 0,
    timeout_s: float = 600.0,
) -> tuple[np.ndarray, ...]:
    """Returns the outputs of one call on ``device``.

    For more than one call, ``PlacedBundle.push(bundle, device).run(samples)`` is faster.

    Raises:
        InputError: The inputs do not fit the signature.
        DeviceError: The device cannot be prepared, or the bundle does not run there.
    """
    placed = PlacedBundle.push(bundle, device, timeout_s=timeout_s)
    return placed.run([inputs], threads=threads)[0]

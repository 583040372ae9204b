"""What a bundle takes on devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from edgeopt.bundles import Bundle
    from edgeopt.contracts import Device
    from edgeopt.deployment.many import Outcome
    from edgeopt.measure import Comparison, OperatorCounts, OperatorProfile, Profile

__all__ = [
    "compare",
    "profile",
    "profile_many",
    "profile_operators",
]


def profile(
    bundle: Path | str | Bundle,
    *,
    device: str | Device = "local",
    public_key: Path | str | None = None,
    **options: Any,
) -> Profile:
    """Returns latency, memory and facts of a bundle on a device.

    Args:
        bundle: The bundle, or its folder or ``.zip``.
        device: ``local``, ``emulated``, ``ssh://pi@host``, a name from `edgeopt devices`, or a
            `Device`.
        public_key: Where given, the signature beside the bundle must be of this key.
        **options: As `edgeopt.measure.profile_bundle` takes them: ``runs``, ``threads`` …

    Raises:
        BundleError: The bundle is damaged.
        DeviceError: The device cannot be reached or prepared.
    """
    from edgeopt.bundles import open_bundle  # noqa: PLC0415
    from edgeopt.deployment.on_device import profile_on  # noqa: PLC0415

    return profile_on(open_bundle(bundle, public_key), device, **options)


def profile_operators(
    bundle: Path | str | Bundle,
    *,
    device: str | Device = "local",
    public_key: Path | str | None = None,
    **options: Any,
) -> OperatorProfile | OperatorCounts:
    """Returns what each operator of a bundle takes on a device, by the runtime's own profiler.

    Of a microcontroller that are counts: its cycles, or the instructions of an emulated one.

    Args:
        bundle: The bundle, or its folder or ``.zip``.
        device: As for `profile`.
        public_key: As for `profile`.
        **options: As for `profile`.

    Raises:
        BundleError: The bundle is damaged.
        DeviceError: The runtime there cannot time operators, or the device is emulated.
    """
    from edgeopt.bundles import open_bundle  # noqa: PLC0415
    from edgeopt.deployment.on_device import operators_on  # noqa: PLC0415

    return operators_on(open_bundle(bundle, public_key), device, **options)


def compare(
    a: Path | str | Bundle,
    b: Path | str | Bundle,
    *,
    device: str | Device = "local",
    operators: bool = False,
    public_key: Path | str | None = None,
    **options: Any,
) -> Comparison:
    """Returns how the times of two bundles relate, run in turn on one device.

    Args:
        a: The first bundle, or its folder or ``.zip``.
        b: The second.
        device: As for `profile`.
        operators: Whether to compare operator by operator too.
        public_key: Where given, the signatures beside both must be of this key.
        **options: As for `profile`.

    Raises:
        BundleError: A bundle is damaged.
        DeviceError: One does not run there, or the device is emulated.
    """
    from edgeopt.bundles import open_bundle  # noqa: PLC0415
    from edgeopt.deployment.on_device import compare_on  # noqa: PLC0415

    first, second = open_bundle(a, public_key), open_bundle(b, public_key)
    return compare_on(first, second, device, operators=operators, **options)


def profile_many(
    bundle: Path | str | Bundle,
    devices: Sequence[str | Device],
    *,
    executor: Executor | str | None = None,
    public_key: Path | str | None = None,
    **options: Any,
) -> list[Outcome]:
    """Returns what came of each device, measured side by side; one failure loses no other result.

    Args:
        bundle: The bundle, or its folder or ``.zip``.
        devices: Each as for `profile`.
        executor: What runs the measurements: ``ray`` or ``ray://HOST:PORT`` for a Ray cluster, or
            anything with ``submit`` as `concurrent.futures.Executor` has it; a thread for each
            device where None.
        public_key: As for `profile`.
        **options: As for `profile`.

    Raises:
        InputError: There is no device, or one is named twice.
        BundleError: The bundle is damaged.
    """
    from edgeopt.bundles import open_bundle  # noqa: PLC0415
    from edgeopt.deployment.many import profile_many as measure  # noqa: PLC0415

    loaded_bundle = open_bundle(bundle, public_key)
    return measure(loaded_bundle, devices, executor=executor, **options)

"""Has a device verify a bundle, run it and measure it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgeopt.bundles import Bundle, read_bundle
from edgeopt.deployment.warn import NOT_HERE
from edgeopt.devices import find_device
from edgeopt.devices.board import EmulatedBoard
from edgeopt.devices.lock import measuring
from edgeopt.errors import DeviceError, GateError
from edgeopt.gate.parity import Parity, compare_outputs, output_steps
from edgeopt.measure import (
    Comparison,
    OperatorCounts,
    OperatorProfile,
    PlacedBundle,
    Profile,
    compare_placed,
    profile_bundle,
    verify_on_device,
)
from edgeopt.progress import report_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgeopt.contracts import Device, Target
    from edgeopt.deployment.baseline import Baseline
    from edgeopt.deployment.result import Deployment
    from edgeopt.deployment.steps import Checked, Job

__all__ = [
    "compare_on",
    "opened",
    "operators_on",
    "placed",
    "profile_on",
    "require_verified",
    "verify_on",
    "with_parity",
]


@contextmanager
def opened(device: str | Device, target: Target | None = None) -> Iterator[Device]:
    """Yields the device that is meant; one that was opened here is closed afterwards.

    Args:
        device: ``local``, ``emulated``, or a device, which stays open.
        target: What an emulated device is like.

    Raises:
        InputError: There is no such device.
        DeviceError: It cannot be reached.
    """
    if not isinstance(device, str):
        yield device
        return
    with _found(device, target) as connection:
        yield connection


def _found(spec: str, target: Target | None) -> Device:
    """Returns the device; an emulated one has the target's core where the emulator knows it."""
    if spec.strip() != "emulated" or target is None:
        return find_device(spec)
    if target.microcontroller is not None:
        return EmulatedBoard(target)
    like = f"emulated:{target.cpu.arch}"
    try:
        return find_device(f"{like}:{target.cpu.mcpu}")
    except DeviceError:
        return find_device(like)


@contextmanager
def placed(bundle: Bundle, device: str | Device) -> Iterator[PlacedBundle]:
    """Yields the bundle on the device."""
    with opened(device, bundle.manifest.target) as connection:
        yield PlacedBundle.push(bundle, connection)


def require_verified(held: PlacedBundle, deployment: Deployment) -> None:
    """Checks the bundle's files and golden samples on the device.

    Raises:
        GateError: One is wrong there; carries the deployment.
    """
    report_progress("verify on the device", 0, 1)
    verification = held.verify()
    report_progress("verify on the device", 1, 1)
    if not verification.ok:
        raise GateError(
            f"the device does not compute what the reference does: {verification}",
            where=held.device.name,
            hint="the bundle was not written; try another backend, and report it to this one",
            deployment=deployment,
        )


def with_parity(
    held: PlacedBundle,
    deployment: Deployment,
    job: Job,
    checked: Checked,
    baseline: Baseline,
) -> Deployment:
    """Returns ``deployment`` with parity as the device shows it, where it cannot be seen here.

    Raises:
        GateError: The device's outputs are not near enough; carries the deployment.
    """
    samples, request, specified = baseline.samples, job.request, checked.build.specified
    actual = held.run(samples.checks, threads=request.bundle.threads)
    steps = output_steps(specified)
    gate = checked.gate
    outputs = compare_outputs(specified.signature, gate.reference, actual, steps, gate.values)
    limits, where = request.checks.parity, held.device.name
    parity = Parity(outputs, len(actual), samples.kind, limits, where)
    warnings = tuple(w for w in deployment.warnings if not w.startswith(NOT_HERE))
    deployment = replace(deployment, parity=parity, warnings=warnings)
    if not parity.ok:
        raise GateError("; ".join(parity.reasons), where=parity.where, deployment=deployment)
    return deployment


def verify_on(bundle: Bundle, device: str | Device, **_: Any) -> list[str]:
    """Returns what a device found wrong with a bundle; nothing where all is well."""
    with opened(device, bundle.manifest.target) as connection:
        verification = verify_on_device(bundle, connection)
    return [] if verification.ok else list(verification.lines)


def profile_on(bundle: Path | str | Bundle, device: str | Device, **options: Any) -> Profile:
    """Returns the profile of a bundle on a device; `edgeopt.profile` documents the arguments."""
    loaded_bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
    with opened(device, loaded_bundle.manifest.target) as connection:
        return profile_bundle(loaded_bundle, connection, **options)


def operators_on(
    bundle: Path | str | Bundle, device: str | Device, **options: Any
) -> OperatorProfile | OperatorCounts:
    """Returns what each operator takes; `edgeopt.profile_operators` documents the arguments."""
    loaded_bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
    with placed(loaded_bundle, device) as there:
        if loaded_bundle.manifest.target.microcontroller is not None:
            return there.operator_counts(**options)
        return there.operators(**options)


def compare_on(
    a: Path | str | Bundle, b: Path | str | Bundle, device: str | Device, **options: Any
) -> Comparison:
    """Returns how two bundles relate; `edgeopt.compare` documents the arguments."""
    first, second = (x if isinstance(x, Bundle) else read_bundle(x) for x in (a, b))
    with opened(device, first.manifest.target) as connection, measuring(connection):
        pair = PlacedBundle.push(first, connection), PlacedBundle.push(second, connection)
        return compare_placed(*pair, **options)

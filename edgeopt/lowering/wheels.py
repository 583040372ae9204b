"""Which release of a runtime exists for a device, as wheels of its CPU, C library and Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeopt.contracts import Wheel
from edgeopt.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeopt.contracts import Target

__all__ = ["Release", "find_wheels", "require_system"]


@dataclass(frozen=True)
class Release:
    """Wheels that fit together: a runtime of one version, and a numpy that it takes.

    Attributes:
        name: Distribution of the runtime; empty where numpy alone is needed.
        version: Its version.
        glibc: The C library that the wheels need, by CPU, for example ``{"aarch64": (2, 31)}``.
        numpy: Newest numpy with a wheel, by Python, for example ``{"3.11": "2.4.6"}``; an empty
            version where the device must bring its own.
    """

    name: str
    version: str
    glibc: Mapping[str, tuple[int, ...]]
    numpy: Mapping[str, str]

    def wheels(self, python: str) -> tuple[Wheel, ...]:
        """Returns the wheels for ``python``; where that is empty, those that fit most Pythons."""
        numpy = self.numpy[python] if python else max(self.numpy.values(), key=_numbers)
        pythons = (python,) if python else tuple(p for p, v in self.numpy.items() if v == numpy)
        pairs = ((self.name, self.version), ("numpy" if numpy else "", numpy))
        return tuple(Wheel(name, version, pythons) for name, version in pairs if name)


def find_wheels(target: Target, releases: Sequence[Release], *, runtime: str) -> tuple[Wheel, ...]:
    """Returns the wheels of the first of ``releases`` that runs on ``target``.

    What the descriptor leaves open (the C library, the Python) is taken to fit.

    Args:
        target: The device.
        releases: The preferred first.
        runtime: What a person calls the runtime, for errors.

    Raises:
        TargetError: None exists for its CPU, C library or Python, or it has no system at all.
    """
    require_system(target, runtime)
    arch, python, glibc = target.cpu.arch, target.os.python, target.os.glibc
    built = [release for release in releases if arch in release.glibc]
    if not built:
        raise TargetError(
            f"no wheel of {runtime} exists for {arch}",
            where=target.name,
            hint="choose another backend (`edgeopt backends` lists them)",
        )
    fitting = [r for r in built if not glibc or _numbers(glibc)[:2] >= r.glibc[arch]]
    for release in fitting:
        if not python or python in release.numpy:
            return release.wheels(python)
    pythons = sorted({p for release in fitting or built for p in release.numpy}, key=_numbers)
    least = ".".join(map(str, min(release.glibc[arch] for release in built)))
    raise TargetError(
        f"no wheel of {runtime} exists for {arch}, glibc {glibc or 'unknown'} and "
        f"Python {python or 'unknown'}",
        where=target.name,
        hint=f"Pythons with one: {', '.join(pythons)}; its wheels need glibc {least} or newer",
    )


def require_system(target: Target, runtime: str) -> None:
    """Checks that ``target`` has an operating system, which ``runtime`` needs.

    Raises:
        TargetError: It is a microcontroller.
    """
    if target.microcontroller is not None:
        what = f"{runtime} needs an operating system, and {target.name} is a microcontroller"
        hint = f"leave the backend to edgeopt, or take {' or '.join(target.backends)}"
        raise TargetError(what, where=target.name, hint=hint)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())

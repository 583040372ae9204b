"""What a device is, whether it is the target it is taken for, and what it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from edgeopt.boundary import decode_json
from edgeopt.errors import DeviceError, InputError, PluginError, TargetError
from edgeopt.registry import find_backend, find_target, targets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.contracts import Device, Target

__all__ = ["DeviceCheck", "Finding", "check_device"]

_RUNTIMES = ("numpy", "ai-edge-litert", "tflite-runtime", "openvino", "onnxruntime")
_ASK = """
import json, sys
from importlib import metadata
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""
_HOT_C = 80.0
_GOVERNOR = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"


Status = Literal["ok", "note", "wrong"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        what: Its name.
        status: ``ok``; ``note``: not as it might be; ``wrong``: the target's bundles will not run.
        detail: What was found, and what was expected.
        fix: What to do about it; empty where nothing is to be done.
    """

    what: str
    status: Status
    detail: str
    fix: str = ""


class DeviceCheck(msgspec.Struct, frozen=True):
    """What is known of a device.

    Attributes:
        name: How it is called.
        facts: What `Device.facts` says.
        target: Name of the target that it was compared with; empty where none was.
        runtimes: Distribution to version of those that its Python finds by itself.
        findings: What was compared.
    """

    name: str
    facts: dict[str, Any]
    target: str
    runtimes: dict[str, str]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether bundles for the target run there."""
        return all(finding.status != "wrong" for finding in self.findings)


def check_device(device: Device, target: str = "") -> DeviceCheck:
    """Returns what ``device`` is, and how it compares with ``target``.

    Args:
        device: The device.
        target: Name of a target; where empty, the one that the board says it is, if any.

    Raises:
        DeviceError: It cannot be reached.
        TargetError: There is no such target.
    """
    facts = device.facts()
    runtimes = _runtimes(device) if facts["python"] else {}
    expected = find_target(target) if target else _guess(facts)
    findings = list(_state(facts))
    if expected is not None:
        findings = [*_compare(facts, expected), *_needs(facts, expected, runtimes), *findings]
    name = expected.name if expected is not None else ""
    return DeviceCheck(device.name, facts, name, runtimes, tuple(findings))


def _runtimes(device: Device) -> dict[str, str]:
    process = device.run(["python3", "-c", _ASK, *_RUNTIMES], timeout_s=120)
    try:
        return decode_json(process.stdout, dict[str, str], where=device.name)
    except InputError as error:
        what = "its Python could not say what is installed"
        raise DeviceError(what, where=device.name, hint=process.stderr.strip()[-300:]) from error


def _guess(facts: dict[str, Any]) -> Target | None:
    """Returns the target whose board this is, by the name that the board gives itself."""
    board = str(facts["board"] or "")
    fitting = [one for one in targets().values() if board.startswith(one.title)]
    return max(fitting, key=lambda one: len(one.title), default=None)


def _compare(facts: dict[str, Any], target: Target) -> Iterator[Finding]:
    cpu = target.cpu
    arch = str(facts["arch"])
    yield Finding(
        "architecture",
        _must(arch == cpu.arch),
        f"{arch}, {target.name} is {cpu.arch}",
        "" if arch == cpu.arch else "choose a target of its own kind: `edgeopt targets`",
    )
    if arch != cpu.arch:
        return
    lacking = [one for one in cpu.isa if one not in facts["isa"]]
    detail = f"lacks {' '.join(lacking)}" if lacking else "has all that the target has"
    fix = "its kernels would use what is not there: choose another target" if lacking else ""
    yield Finding("instructions", _must(not lacking), detail, fix)
    memory, cores = facts["memory_mb"], facts["cores"]
    if memory and target.memory_mb:
        enough = memory >= 0.8 * target.memory_mb  # the system and the GPU keep some
        yield Finding(
            "memory", _may(enough), f"{memory} MiB, {target.name} has {target.memory_mb} MiB"
        )
    yield Finding("cores", _may(cores >= cpu.cores), f"{cores}, {target.name} has {cpu.cores}")
    yield from _system(facts, target)


def _system(facts: dict[str, Any], target: Target) -> Iterator[Finding]:
    glibc, python = facts["glibc"], facts["python"]
    if target.os.glibc and glibc:
        fits = _version(glibc) >= _version(target.os.glibc)
        fix = "" if fits else "an older system than the target's: some wheels will not load"
        yield Finding("glibc", _must(fits), f"{glibc}, {target.name} has {target.os.glibc}", fix)
    if target.os.python:
        yield _python(python, target)


def _python(python: str | None, target: Target) -> Finding:
    version = target.os.python
    has = ".".join(python.split(".")[:2]) if python else "none"
    detail = f"{has}, {target.name} has {version}"
    if python is None:
        fix = f"sudo apt-get install python{version}; bundles with a native program need none"
        return Finding("Python", "wrong", detail, fix)
    fix = "" if has == version else "none, where the bundle's wheels exist for its Python too"
    return Finding("Python", _may(has == version), detail, fix)


def _needs(facts: dict[str, Any], target: Target, present: dict[str, str]) -> Iterator[Finding]:
    """Yields what the target's first backend that is installed here needs on the device."""
    for name in target.backends:
        try:
            backend = find_backend(name)
            if backend.available() is not None:
                continue
            wheels = backend.device_runtime(target).wheels
        except (PluginError, TargetError):
            continue
        detail = ", ".join(wheel.requirement for wheel in wheels) or "nothing"
        lacking = [w.requirement for w in wheels if present.get(w.name) != w.version]
        if not lacking or not facts["python"]:
            yield Finding(f"runtime of {name}", "ok", detail)
            return
        fix = f"edgeopt copies it there; by hand: python3 -m pip install {' '.join(lacking)}"
        yield Finding(f"runtime of {name}", "note", f"{detail}: not installed there", fix)
        return


def _state(facts: dict[str, Any]) -> Iterator[Finding]:
    governor, heat = facts["governor"], facts["temperature_c"] or {}
    if governor:
        steady = governor == "performance"
        yield Finding("governor", _may(steady), governor, "" if steady else _GOVERNOR)
    if heat:
        name, value = max(heat.items(), key=lambda one: one[1])
        cool = value < _HOT_C
        yield Finding(
            "temperature", _may(cool), f"{name} {value:.0f} °C", "" if cool else "cool it"
        )
    if facts["emulated"]:
        yield Finding("emulation", "note", "its times say nothing of hardware")


def _must(good: bool) -> Status:  # noqa: FBT001 (a verdict)
    return "ok" if good else "wrong"


def _may(good: bool) -> Status:  # noqa: FBT001 (a verdict)
    return "ok" if good else "note"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())

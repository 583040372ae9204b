"""What `edgeopt doctor` looks at: one entry for each thing that may be missing, with what to type."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata, util
from typing import Any, NamedTuple

import msgspec

from edgeopt.installation import install_command, packages_command, system_command

__all__ = ["GROUPS", "Check", "checks"]

GROUPS = {
    "base": "edgeopt",
    "backend": "toolchains of backends",
    "toolchain": "beside the TFLite backend",
    "training": "compression and training",
    "exchange": "exchange",
    "models": "models by name",
    "explain": "explanations",
    "program": "programs",
    "machine": "where it runs",
}
"""What kinds of things there are, in order, and how a person reads them."""

_BACKENDS = {
    "tflite": "Arm boards and phones",
    "openvino": "Intel and AMD processors",
    "tvm": "any processor, with tuned kernels",
    "micro": "microcontrollers, in C",
}


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        name: What it is called.
        kind: One of `GROUPS`.
        status: ``ok``, ``missing``, ``broken`` or ``unknown``.
        version: Of what is there; empty where it has none.
        purpose: What it is for.
        detail: What else is known of it.
        fix: What to type where it is missing; empty where it is not.
    """

    name: str
    kind: str
    status: str
    version: str = ""
    purpose: str = ""
    detail: str = ""
    fix: str = ""


class _Package(NamedTuple):
    """A package that an extra brings."""

    distribution: str
    module: str
    extra: str
    kind: str
    purpose: str


_PACKAGES = (
    _Package("tflite-micro", "tflite_micro", "tflite-micro", "toolchain", "TFLite for Micro, here"),
    _Package("ethos-u-vela", "ethosu", "ethos-u", "toolchain", "Arm's Ethos-U NPUs"),
    _Package("accelerate", "accelerate", "train", "training", "distillation, training in int8"),
    _Package("torch-pruning", "torch_pruning", "prune", "training", "pruning"),
    _Package("optuna", "optuna", "search", "training", "edgeopt search"),
    _Package("ray", "ray", "ray", "training", "farms of devices"),
    _Package("onnx", "onnx", "onnx", "exchange", "export --format onnx"),
    _Package("onnxscript", "onnxscript", "onnx", "exchange", "export --format onnx"),
    _Package("timm", "timm", "timm", "models", "timm:NAME"),
    _Package("torchvision", "torchvision", "torchvision", "models", "torchvision:NAME"),
    _Package("ultralytics", "ultralytics", "ultralytics", "models", "ultralytics:NAME"),
    _Package("transformers", "transformers", "hf", "models", "hf:NAME"),
    _Package("ziglang", "ziglang", "micro", "program", "C for boards, and TVM's libraries"),
    _Package("captum", "captum", "explain", "explain", "what a model looks at"),
)

_PROGRAMS = (
    ("ssh", "openssh-client", "devices behind SSH"),
    ("adb", "adb", "Android devices"),
    ("qemu-aarch64-static", "qemu-user-static", "emulated Arm and RISC-V boards"),
    ("qemu-system-arm", "qemu-system-arm", "emulated Cortex-M boards"),
    ("qemu-system-riscv32", "qemu-system-misc", "emulated RISC-V microcontrollers"),
    ("arm-none-eabi-gcc", "gcc-arm-none-eabi", "firmware of your own, in C"),
    ("cmake", "cmake", "programs around a generated library"),
)
"""Name, Debian's package, and what for."""


def checks() -> list[Check]:
    """Returns one entry for each thing looked at, group by group."""
    entries = [
        Check("python", "base", "ok", platform.python_version()),
        *(_required(name) for name in ("edgeopt", "torch", "numpy")),
        *_backends(),
        *(_package(one) for one in _PACKAGES),
        *(_program(*one) for one in _PROGRAMS),
        _signing(),
        _cache(),
        _host(),
    ]
    order = list(GROUPS)
    return sorted(entries, key=lambda one: order.index(one.kind))


def _required(name: str) -> Check:
    version = _version(name)
    if version or util.find_spec(name) is not None:
        return Check(name, "base", "ok", version)
    return Check(name, "base", "missing", fix=packages_command(name))


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _backends() -> list[Check]:
    from edgeopt.cli.listing import backend_table  # noqa: PLC0415 (only here)
    from edgeopt.errors import PluginError  # noqa: PLC0415

    try:
        table = backend_table()
    except PluginError as error:
        return [Check("backends", "backend", "broken", detail=error.what, fix=error.hint or "")]
    entries = [_backend(one) for one in table if one["name"] != "reference"]
    lacking = [name for name in _BACKENDS if name not in {one["name"] for one in table}]
    return entries + [
        Check(name, "backend", "missing", purpose=_BACKENDS[name], fix=install_command(name))
        for name in lacking
    ]


def _backend(one: dict[str, Any]) -> Check:
    name, versions = one["name"], ", ".join(one["versions"])
    purpose = _BACKENDS.get(name, one["package"])
    if one["ready"]:
        return Check(name, "backend", "ok", versions, purpose)
    detail = "" if one["fix"] else one["status"]
    return Check(name, "backend", one["state"], versions, purpose, detail, one["fix"])


def _package(one: _Package) -> Check:
    if util.find_spec(one.module) is None:
        fix = install_command(one.extra)
        return Check(one.distribution, one.kind, "missing", purpose=one.purpose, fix=fix)
    version = _version(one.distribution)
    return Check(one.distribution, one.kind, "ok", version, one.purpose)


def _program(name: str, package: str, purpose: str) -> Check:
    path = shutil.which(name)
    if path is None:
        fix = system_command(package)
        return Check(name, "program", "missing", purpose=purpose, fix=fix)
    return Check(name, "program", "ok", purpose=purpose, detail=path)


def _signing() -> Check:
    from edgeopt.bundles.signing import signing_install  # noqa: PLC0415 (only here)

    purpose, path = "signed bundles", shutil.which("model_signing")
    if path is None:
        return Check("model_signing", "program", "missing", purpose=purpose, fix=signing_install())
    return Check("model_signing", "program", "ok", purpose=purpose, detail=path)


def _cache() -> Check:
    from edgeopt.files import cache_folder  # noqa: PLC0415
    from edgeopt.units import shown_bytes  # noqa: PLC0415 (only here)

    folder = cache_folder()
    place = next(one for one in (folder, *folder.parents) if one.exists())
    if not os.access(place, os.W_OK):
        fix = "set EDGEOPT_CACHE to a folder that can be written"
        return Check("cache", "machine", "missing", detail=f"{folder} cannot be written", fix=fix)
    state = "holds what was made before" if folder.exists() else "made on first use"
    free = shown_bytes(shutil.disk_usage(place).free)
    return Check("cache", "machine", "ok", detail=f"{folder}, {state}, {free} free")


def _host() -> Check:
    from edgeopt.errors import TargetError  # noqa: PLC0415
    from edgeopt.gate.diagnose import missing_isa  # noqa: PLC0415
    from edgeopt.registry import detect_host  # noqa: PLC0415

    try:
        host = detect_host()
    except TargetError as error:
        return Check("this machine", "machine", "unknown", detail=error.what)
    lacking = "; ".join(f"lacks {one}" for one in missing_isa(host))
    detail = f"{host.cpu.model}, {host.cpu.cores} cores, {host.memory_mb} MiB"
    full = f"{detail}; {lacking}" if lacking else detail
    return Check("this machine", "machine", "ok", detail=full)

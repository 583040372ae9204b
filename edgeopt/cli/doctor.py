"""`edgeopt doctor`: what is installed, what is missing, what to type."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata, util
from typing import Any

import typer

from edgeopt.cli import options as opt

__all__ = ["checks", "doctor"]

_EXTRAS = {
    "tflite": "backend for Arm boards and phones",
    "openvino": "backend for Intel machines",
}


def doctor(*, json: opt.Json = False) -> None:
    """Say what is installed, what is missing, and what to type."""
    from edgeopt.cli.show import print_columns, print_json  # noqa: PLC0415

    entries = checks()
    if json:
        print_json(entries)
    else:
        rows = [(c["name"], c["status"], c["detail"], c["fix"]) for c in entries]
        print_columns(("what", "status", "detail", "what to type"), rows)
    usable = any(c["kind"] == "backend" and c["status"] == "ok" for c in entries)
    if not usable:
        raise typer.Exit(3)


def checks() -> list[dict[str, str]]:
    """Returns one entry for each thing looked at: name, kind, status, detail, fix."""
    return [
        _entry("python", "base", "ok", platform.python_version()),
        *(_distribution(name) for name in ("edgeopt", "torch", "numpy", "edgeopt-targets")),
        *_backends(),
        _module("onnx", "export --format onnx", "pip install 'edgeopt[onnx]'"),
        _module("model_signing", "signed bundles", "pip install model-signing"),
        _module("ziglang", "cross-compiling", "pip install ziglang"),
        _program("qemu-aarch64-static", "the emulated device", "apt install qemu-user-static"),
        _program("qemu-system-arm", "emulated Cortex-M boards", "apt install qemu-system-arm"),
        _program("qemu-system-riscv32", "emulated RISC-V boards", "apt install qemu-system-misc"),
        _program("ssh", "devices behind SSH", "apt install openssh-client"),
        _program("adb", "Android devices", "apt install adb"),
        _cache(),
        _host(),
    ]


def _entry(name: str, kind: str, status: str, detail: str, fix: str = "") -> dict[str, str]:
    return {"name": name, "kind": kind, "status": status, "detail": detail, "fix": fix}


def _distribution(name: str) -> dict[str, str]:
    try:
        return _entry(name, "base", "ok", metadata.version(name))
    except metadata.PackageNotFoundError:
        return _entry(name, "base", "missing", "not installed", f"pip install {name}")


def _backends() -> list[dict[str, str]]:
    from edgeopt.cli.listing import backend_table  # noqa: PLC0415 (only here)
    from edgeopt.errors import PluginError  # noqa: PLC0415

    try:
        table = backend_table()
    except PluginError as error:
        return [_entry("backends", "backend", "broken", error.what, error.hint or "")]
    entries = [_backend(one) for one in table if one["name"] != "reference"]
    names = {one["name"] for one in table}
    entries += [
        _entry(name, "backend", "missing", what, f"pip install 'edgeopt[{name}]'")
        for name, what in _EXTRAS.items()
        if name not in names
    ]
    return entries


def _backend(one: dict[str, Any]) -> dict[str, str]:
    versions = ", ".join(one["versions"])
    if one["ready"]:
        return _entry(one["name"], "backend", "ok", versions)
    return _entry(one["name"], "backend", "missing", versions, one["status"])


def _module(name: str, what: str, fix: str) -> dict[str, str]:
    if util.find_spec(name) is None:
        return _entry(name, "optional", "missing", f"for {what}", fix)
    return _entry(name, "optional", "ok", f"for {what}")


def _program(name: str, what: str, fix: str) -> dict[str, str]:
    path = shutil.which(name)
    if path is None:
        return _entry(name, "optional", "missing", f"for {what}", fix)
    return _entry(name, "optional", "ok", path)


def _cache() -> dict[str, str]:
    from edgeopt.files import cache_folder  # noqa: PLC0415
    from edgeopt.units import shown_bytes  # noqa: PLC0415 (only here)

    folder = cache_folder()
    place = next(one for one in (folder, *folder.parents) if one.exists())
    if not os.access(place, os.W_OK):
        fix = "set EDGEOPT_CACHE to a folder that can be written"
        return _entry("cache", "optional", "missing", f"{folder} cannot be written", fix)
    state = "holds what was made before" if folder.exists() else "made on first use"
    free = shown_bytes(shutil.disk_usage(place).free)
    return _entry("cache", "optional", "ok", f"{folder}, {state}, {free} free")


def _host() -> dict[str, str]:
    from edgeopt.errors import TargetError  # noqa: PLC0415
    from edgeopt.gate.diagnose import missing_isa  # noqa: PLC0415
    from edgeopt.registry import detect_host  # noqa: PLC0415

    try:
        host = detect_host()
    except TargetError as error:
        return _entry("this machine", "host", "unknown", error.what)
    lacking = "; ".join(f"lacks {one}" for one in missing_isa(host))
    detail = f"{host.cpu.model}, {host.cpu.cores} cores, {host.memory_mb} MiB"
    return _entry("this machine", "host", "ok", f"{detail}; {lacking}" if lacking else detail)

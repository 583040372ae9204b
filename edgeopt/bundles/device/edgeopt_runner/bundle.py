"""Reads the manifest, checks files, and loads the model through the backend's ``runtime.py``."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import stat
import sys
import time
import types
from typing import Any

from .schema import find_fault

__all__ = [
    "INSTALL",
    "MISSING",
    "OK",
    "USAGE",
    "WRONG",
    "Stop",
    "canonical",
    "check_extra",
    "check_file",
    "digest",
    "installed",
    "load_manifest",
    "load_model",
    "open_plain",
    "runs_from",
    "shown",
]

SCHEMA_VERSION = 2
MAX_MANIFEST_BYTES = 1 << 20
OK, WRONG, USAGE, MISSING = 0, 1, 2, 3
INSTALL = "python3 -m pip install -r requirements.txt"


class Stop(Exception):  # noqa: N818 (it ends the program, with whatever status)
    """What ends the program: an exit status, what was wrong, and what to do next."""

    def __init__(self, code: int, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.hint = hint


def canonical(value: Any) -> bytes:
    """Returns ``value`` as the one JSON text that a bundle may hold of it."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False)
    return (text + "\n").encode("ascii")


def load_manifest(root: str) -> dict[str, Any]:
    """Returns the manifest, its version and its own digest checked."""
    path = os.path.join(root, "manifest.json")
    try:
        with open_plain(path) as stream:
            raw = stream.read(MAX_MANIFEST_BYTES + 1)
        manifest: dict[str, Any] = json.loads(raw)
        version = manifest["schema_version"]
        whole = raw == canonical(manifest)
        whole &= manifest["digest"] == digest(canonical({**manifest, "digest": ""}))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Stop(WRONG, f"manifest.json: missing or damaged: {error}", "copy it again") from error
    if version != SCHEMA_VERSION:
        raise Stop(WRONG, f"manifest.json: schema version {version}; run.py reads {SCHEMA_VERSION}")
    if not whole:
        raise Stop(WRONG, "manifest.json: its content does not match its digest", "copy it again")
    fault = find_fault(manifest)
    if fault:
        raise Stop(WRONG, f"manifest.json: breaks the schema: {fault}", "copy it again")
    return manifest


def open_plain(path: str, *, follow: bool = False) -> Any:
    """Returns the plain file at ``path``, opened; pipes, devices, and links if not to ``follow``, raise OSError."""
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_BINARY") + (() if follow else ("O_NOFOLLOW",)):
        flags |= getattr(os, name, 0)  # a pipe must not block
    stream = os.fdopen(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError("not a plain file")
    return stream


def digest(content: bytes) -> str:
    """Returns the SHA-256 of ``content`` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def check_file(root: str, manifest: dict[str, Any], name: str) -> None:
    """Raises Stop unless file ``name`` is as the manifest says."""
    path, entry = os.path.join(root, *name.split("/")), manifest["files"][name]
    hasher, size = hashlib.sha256(), 0
    parts = name.split("/")
    for depth in range(1, len(parts)):
        if os.path.islink(os.path.join(root, *parts[:depth])):
            raise Stop(WRONG, f"{name}: its folder is a link", "copy it again")
    try:
        with open_plain(path) as stream:
            there = os.fstat(stream.fileno()).st_size
            if there != entry["size_bytes"]:  # before any of it is read
                what = f"{name}: {there} bytes, expected {entry['size_bytes']}"
                raise Stop(WRONG, what, "copy it again")
            for block in iter(lambda: stream.read(1 << 20), b""):
                hasher.update(block)
                size += len(block)
    except OSError as error:
        raise Stop(WRONG, f"{name}: missing or not readable: {error}", "copy it again") from error
    if size != entry["size_bytes"]:
        raise Stop(WRONG, f"{name}: {size} bytes, expected {entry['size_bytes']}", "copy it again")
    if hasher.hexdigest() != entry["sha256"]:
        raise Stop(WRONG, f"{name}: its content does not match its digest", "copy it again")


def check_extra(root: str, manifest: dict[str, Any]) -> None:
    """Raises Stop for a file that the manifest does not list."""
    entries = set(manifest["files"]) | {"manifest.json"}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")
            if path not in entries:
                raise Stop(WRONG, f"{path}: not in the manifest", "remove it")


def check_modules(root: str, manifest: dict[str, Any]) -> None:
    """Raises Stop for a file that could stand in for a module, and that the manifest lacks."""
    for room in ("lib", "edgeopt_runner"):  # lib comes first on the path, the bundle itself last
        for folder, _, names in os.walk(os.path.join(root, room)):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")
                if path not in manifest["files"]:
                    raise Stop(WRONG, f"{path}: not in the manifest, and could run", "remove it")


def runs_from(name: str) -> bool:
    """Returns whether the file takes part in a run (the others are records)."""
    records = ("golden/", "lib/wheels/")
    return not name.startswith(records) and name not in ("report.json", "origins.json")


def load_model(root: str, manifest: dict[str, Any], threads: int) -> tuple[Any, dict[str, int]]:
    """Returns the model and how long import and load took, in ns.

    Args:
        root: Folder of the bundle.
        manifest: Its manifest, or the view of one of its programs.
        threads: Threads to use; 0 leaves it to the runtime.
    """
    path = os.path.join(root, "runtime.py")
    check_modules(root, manifest)
    sys.dont_write_bytecode = True  # a bundle stays as it was written
    sys.path.insert(0, os.path.join(root, "lib"))
    module = types.ModuleType("runtime")
    module.__file__ = path
    sys.modules["runtime"] = module
    from .whole import model_path

    started = time.perf_counter_ns()
    try:
        entry = model_path(root, manifest)
        with open_plain(path) as stream:
            exec(compile(stream.read(), path, "exec"), module.__dict__)  # noqa: S102 (checked)
        imported = time.perf_counter_ns()
        model = module.Model(entry, manifest["metadata"], threads)
    except ImportError as error:
        raise Stop(
            MISSING, f"the runtime is not installed: {error}", install_hint(manifest)
        ) from error
    except Exception as error:
        hint = getattr(error, "hint", "")  # a runtime's own error may say what to do
        what = str(error) if hint else f"the runtime cannot load it: {error!r}"
        raise Stop(WRONG, f"{manifest['entry']}: {what}", hint) from error
    now = time.perf_counter_ns()
    return model, {"import_ns": imported - started, "load_ns": now - imported}


def install_hint(manifest: dict[str, Any]) -> str:
    """Returns what to type, and which Python versions have the wheels."""
    pythons, here = manifest["pythons"], platform.python_version()
    has_wheels = any(name.startswith("lib/wheels/") for name in manifest["files"])
    install = INSTALL + (" --no-index --find-links lib/wheels" if has_wheels else "")
    if pythons and here.rpartition(".")[0] not in pythons:
        return f"{install}   (wheels exist for Python {', '.join(pythons)}; this is {here})"
    return install


def installed(manifest: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Returns, for each pinned requirement, the version wanted and the one installed."""
    from importlib import metadata

    versions = {}
    for line in manifest["requirements"]:
        name, _, pin = line.partition("==")
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = ""
        versions[name] = {"wanted": pin, "installed": version}
    return versions


def shown(text: Any) -> str:
    """Returns ``text`` as a terminal may have it: what is no letter, as its escape."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(text))

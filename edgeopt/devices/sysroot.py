"""The files of a small Linux of another architecture, with Python, made once and kept in the cache.

Packages come from Debian; none is installed, they are only unpacked. Every file's digest is kept
beside the tree and checked before it is used; a tree that differs is made anew.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

import msgspec

from edgeopt.boundary import decode_json, read_file
from edgeopt.devices.apt import Package, chosen_sources, download, unpack
from edgeopt.devices.process import run_process
from edgeopt.devices.qemu import EMULATED, Emulated, emulator
from edgeopt.devices.relink import relink
from edgeopt.devices.tree import difference, snapshot
from edgeopt.errors import DeviceError, InputError
from edgeopt.files import cache_folder, drafting, locked, put
from edgeopt.progress import report_progress

__all__ = ["Sysroot", "adopt_sysroot", "cached_sysroot", "python_of"]

FORMAT = 1
PACKAGES = ("base-files", "python3", "libstdc++6", "libgomp1", "libatomic1")
"""Python with its standard library, and the libraries that wheels expect of any Linux."""
_KEPT = ("bin", "etc", "lib", "lib64", "sbin", "usr")
_NEEDLESS = (
    *("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/lintian", "usr/share/locale"),
    *("usr/lib/*/gconv", "lib/*/gconv", "usr/lib/python3.*/test"),
)
_COMPILE_TIMEOUT_S = 900.0


class Sysroot(msgspec.Struct, frozen=True):
    """A root folder for programs of another architecture.

    Attributes:
        arch: Our name of the architecture.
        root: The folder.
        python: Version of its Python, for example ``3.11``.
        packages: What it was made of; empty for a folder that somebody else made.
    """

    arch: str
    root: str
    python: str
    packages: tuple[Package, ...] = ()

    @property
    def python_program(self) -> Path:
        """Where its Python is."""
        return Path(self.root) / "usr" / "bin" / f"python{self.python}"


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """What lies beside a tree; ``digest`` covers the rest."""

    format: int
    arch: str
    python: str
    packages: tuple[Package, ...]
    files: dict[str, str]
    digest: str = ""

    def sealed(self) -> str:
        """Returns the digest of all other fields."""
        rest = msgspec.structs.replace(self, digest="")
        return hashlib.sha256(msgspec.json.encode(rest, order="sorted")).hexdigest()


_checked: set[Path] = set()  # trees that this process has found whole


def cached_sysroot(arch: str, *, cache: Path | None = None) -> Sysroot:
    """Returns the root for ``arch``, made first where the cache holds none that is whole.

    Two processes that need it at once make it once.

    Args:
        arch: A key of `EMULATED`.
        cache: The cache; `cache_folder` where None.

    Raises:
        DeviceError: A tool is missing, or the packages cannot be had.
        InputError: The cache cannot be written.
    """
    debian = EMULATED[arch].debian
    ingredients = repr((FORMAT, PACKAGES, _NEEDLESS, _KEPT, chosen_sources()))
    recipe = hashlib.sha256(ingredients.encode()).hexdigest()[:12]
    home = (cache or cache_folder()) / "sysroots"
    folder = home / f"{debian}-{recipe}"
    with locked(home / f".{folder.name}.lock"):
        sysroot = _read(folder, arch)
        if sysroot is None:
            _make(folder, arch)
            sysroot = _read(folder, arch)
    if sysroot is None:
        hint = f"remove {folder} and try again"
        raise DeviceError("changes while it is made", where=str(folder), hint=hint)
    return sysroot


def adopt_sysroot(arch: str, root: Path) -> Sysroot:
    """Returns a root that somebody else made, for example with debootstrap.

    Raises:
        DeviceError: There is no Python in it.
    """
    return Sysroot(arch, os.fspath(root.absolute()), python_of(root))


def python_of(root: Path) -> str:
    """Returns the version of the Python below ``root``, for example ``3.11``.

    Raises:
        DeviceError: There is none.
    """
    names = [path.name for path in (root / "usr" / "bin").glob("python3.*")]
    versions = [name[6:] for name in names if re.fullmatch(r"python3\.\d+", name)]
    if not versions:
        raise DeviceError("there is no Python in it", where=str(root))
    return max(versions, key=lambda version: int(version[2:]))


def _read(folder: Path, arch: str) -> Sysroot | None:
    """Returns the root in ``folder`` if it is whole, else None."""
    try:
        text = read_file(folder / "manifest.json", most=64 << 20)
        manifest = decode_json(text, _Manifest, where=str(folder))
    except InputError:
        return None
    root = folder / "root"
    if manifest.format != FORMAT or manifest.digest != manifest.sealed():
        return None
    if folder not in _checked and difference(root, manifest.files) is not None:
        return None
    _checked.add(folder)
    return Sysroot(arch, os.fspath(root), manifest.python, manifest.packages)


def _make(folder: Path, arch: str) -> None:
    """Makes ``folder``, whole or not at all; a damaged one there is replaced."""
    try:
        with drafting(folder) as draft:
            _fill(draft, folder, arch)
    except OSError as error:
        raise DeviceError(f"cannot be written: {error}", where=str(folder)) from error


def _fill(draft: Path, folder: Path, arch: str) -> None:
    """Makes ``folder`` in ``draft``, and puts it there."""
    kind = EMULATED[arch]
    report_progress("sysroot", 0, 3)
    (draft / "apt").mkdir()
    packages = download(PACKAGES, kind.debian, draft / "apt")
    report_progress("sysroot", 1, 3)
    root = draft / "new" / "root"
    root.mkdir(parents=True)
    for package in packages:
        unpack(draft / "apt" / "cache" / "archives" / package.file, root)
    _tidy(root)
    report_progress("sysroot", 2, 3)
    _compile(root, folder / "root", kind, arch)
    _seal(draft / "new", arch, packages)
    put(draft / "new", folder)
    report_progress("sysroot", 3, 3)


def _tidy(root: Path) -> None:
    """Leaves what programs need. An empty ``/tmp`` or ``/sys`` would hide this machine's."""
    for path in root.iterdir():
        if path.name not in _KEPT:
            shutil.rmtree(path)
    for pattern in _NEEDLESS:
        for path in root.glob(pattern):
            shutil.rmtree(path)
    for name in ("lib", "lib64"):  # since Debian 13 packages have these below /usr only
        if not (root / name).exists() and (root / "usr" / name).is_dir():
            (root / name).symlink_to(f"usr/{name}")
    relink(root)


def _compile(root: Path, final: Path, kind: Emulated, arch: str) -> None:
    """Makes the bytecode of the standard library, with its own Python: nothing is added later."""
    program, _ = emulator(arch, kind.mcpu)
    version = python_of(root)
    python = root / "usr" / "bin" / f"python{version}"
    library = root / "usr" / "lib" / f"python{version}"
    process = run_process(
        [
            *(os.fspath(program), "-L", os.fspath(root), os.fspath(python)),
            *("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
            *("-s", os.fspath(root), "-p", os.fspath(final), os.fspath(library)),
        ],
        cwd=root,
        env={"PYTHONHOME": os.fspath(root / "usr"), "LANG": "C.UTF-8"},
        timeout_s=_COMPILE_TIMEOUT_S,
        where=f"sysroot {arch}",
    )
    if process.returncode != 0:
        hint = (process.stderr or process.stdout).strip()[-500:]
        raise DeviceError("its Python does not run", where=f"sysroot {arch}", hint=hint)


def _seal(folder: Path, arch: str, packages: tuple[Package, ...]) -> None:
    root = folder / "root"
    manifest = _Manifest(FORMAT, arch, python_of(root), packages, snapshot(root))
    manifest.digest = manifest.sealed()
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    (folder / "manifest.json").write_bytes(text)

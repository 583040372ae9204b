"""Brings the libraries of the report's page from npm, whole, or checks that they are what is named.

python scripts/vendor_assets.py --check     # digests of edgeopt/reporting/assets/vendor/; needs no network
python scripts/vendor_assets.py --update    # takes the versions that vendored.toml names, and writes it anew

A version is changed in vendored.toml; then ``--update`` runs ``npm pack`` and copies what the table names.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import tomli_w

FOLDER = Path(__file__).resolve().parent.parent / "edgeopt" / "reporting" / "assets" / "vendor"
TABLE = FOLDER / "vendored.toml"


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="compare the files with their digests")
    action.add_argument("--update", action="store_true", help="fetch them with npm")
    options = parser.parse_args(arguments)
    packages: dict[str, Any] = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    if options.update:
        for name, package in packages.items():
            update(name, package)
        TABLE.write_text(tomli_w.dumps(packages), encoding="utf-8")
        return 0
    faults = [fault for package in packages.values() for fault in differences(package)]
    for fault in faults:
        print(fault)
    return bool(faults)


def differences(package: dict[str, Any]) -> list[str]:
    """Returns a line for each file of a package that is missing or not what the table says."""
    lines = []
    for name, digest in package["sha256"].items():
        file = FOLDER / name
        if not file.is_file():
            lines.append(f"{name} is missing: python scripts/vendor_assets.py --update")
        elif sha256(file.read_bytes()) != digest:
            lines.append(f"{name} is not what vendored.toml says: it was edited, or half updated")
    return lines


def update(name: str, package: dict[str, Any]) -> None:
    """Writes the files of one package, and their digests into ``package``."""
    with tempfile.TemporaryDirectory() as folder:
        specification = f"{name}@{package['version']}"
        command = ["npm", "pack", "--silent", "--pack-destination", folder, specification]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as members:
            for target, source in package["files"].items():
                member = members.extractfile(f"package/{source}")
                if member is None:
                    raise SystemExit(f"{specification} has no {source}")
                content = member.read()
                (FOLDER / target).write_bytes(content)
                package["sha256"][target] = sha256(content)


def sha256(content: bytes) -> str:
    """Returns the digest in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Builds a release, checks it, installs it into a clean environment and deploys a model there.

python scripts/release.py                # what a release must pass; leaves it in dist/
python scripts/release.py --draft        # the same before its notes are written
python scripts/release.py --tag v0.2.0   # and the tag must be the version's

What the clean environment installs comes from where pip is told to look (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL; the CPU
build of torch is enough), in the versions of constraints.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from _distributions import ROOT, build, changelog_version, problems, project

MODEL = """
import torch

torch.manual_seed(0)

def make():
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(8, 4),
    )
    return model.eval(), (torch.randn(1, 3, 16, 16),), list(torch.randn(32, 1, 3, 16, 16))
"""
DEPLOYMENT = (
    "deploy toy:make --target host --backend tflite --precision int8 --output bundle --quiet",
    "verify bundle",
    "plan toy:make --target rpi4",
)
HINTS = ("optuna", "onnx")
"""What is installed as `edgeopt doctor` says, to see that it can be."""


def main() -> None:
    """Does what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="where both are left")
    parser.add_argument("--draft", action="store_true", help="the changelog may lack this version")
    parser.add_argument("--tag", help="the tag that is released")
    parser.add_argument("--no-environment", action="store_true", help="build and check only")
    options = parser.parse_args()
    version = str(project()["project"]["version"])  # type: ignore[index]
    require_version(version, draft=options.draft, tag=options.tag)
    sdist, wheel = build(options.output)
    for one in (sdist, wheel):
        print(f"built {one.name}, {one.stat().st_size / 1024:.0f} KiB")
    found = list(problems(sdist, wheel))
    if found:
        raise SystemExit("\n".join(found))
    print("checked: metadata, links, licences, every file that git knows and no other, py.typed")
    if not options.no_environment:
        try_out(wheel)
    print(f"edgeopt {version} can be released")


def require_version(version: str, *, draft: bool, tag: str | None) -> None:
    """Ends the program where tag or changelog say another version."""
    if tag is not None and tag != f"v{version}":
        raise SystemExit(f"the tag is {tag}, the version in pyproject.toml {version}")
    noted = changelog_version((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    if noted != version and not draft:
        raise SystemExit(
            f"the newest release in CHANGELOG.md is {noted or 'none'}, the version {version}\n"
            f"  -> python scripts/changelog.py {version}, or --draft"
        )
    print(f"version {version}" + ("" if noted == version else ", a draft: CHANGELOG.md lacks it"))


def try_out(wheel: Path) -> None:
    """Installs the wheel with TFLite into an environment of its own, and deploys from an empty folder."""
    with tempfile.TemporaryDirectory(prefix="edgeopt-release-") as name:
        folder = Path(name)
        venv.create(folder / "env", with_pip=True)
        empty = folder / "empty"
        empty.mkdir()
        clean = _Clean(folder / "env" / "bin", empty)
        clean.run("pip", "install", "--quiet", f"{wheel}[tflite]")
        print(f"installed {wheel.name}[tflite]: {clean.size_mb()} MB with torch {clean.torch()}")
        (empty / "toy.py").write_text(MODEL, encoding="utf-8")
        for words in DEPLOYMENT:
            clean.run("edgeopt", *shlex.split(words))
            print(f"ran edgeopt {words}")
        for what in HINTS:
            _follow(clean, what)


class _Clean:
    """An environment without this checkout, and an empty folder to work in."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder = programs, folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
        self._env = {
            **kept,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
            "EDGEOPT_CACHE": str(folder.parent / "cache"),
        }

    def run(self, program: str, *words: str, accept: tuple[int, ...] = (0,)) -> str:
        """Returns what a program of the environment printed; ends this one where it fails."""
        done = subprocess.run(
            [str(self._programs / program), *words],
            cwd=self._folder, env=self._env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode not in accept:
            said = f"{done.stdout[-2000:]}{done.stderr[-4000:]}"
            raise SystemExit(f"{program} {' '.join(words)} ended with {done.returncode}:\n{said}")
        return done.stdout

    def torch(self) -> str:
        """Returns torch's version."""
        code = "import importlib.metadata as m; print(m.version('torch'))"
        return self.run("python", "-c", code).strip()

    def size_mb(self) -> int:
        """Returns what the environment weighs on the disk, in MB."""
        files = (path for path in self._programs.parent.rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files if not path.is_symlink()) // 1_000_000

    def doctor(self, what: str) -> dict[str, Any]:
        """Returns what `edgeopt doctor` says of one thing."""
        said = json.loads(self.run("edgeopt", "doctor", "--json"))
        return next(one for one in said if one["name"] == what)


def _follow(clean: _Clean, what: str) -> None:
    """Types what `edgeopt doctor` says, word for word, and sees whether it is content then."""
    before = clean.doctor(what)
    if before["status"] != "missing":
        raise SystemExit(f"{what} is {before['status']} in a clean environment: {before}")
    program, *words = shlex.split(before["fix"])
    clean.run(program, *words)
    after = clean.doctor(what)
    if after["status"] != "ok":
        raise SystemExit(f"{before['fix']} did not install {what}: {after}")
    print(f"typed {before['fix'].replace(str(ROOT), '.')}: {what} {after['version']}")


if __name__ == "__main__":
    sys.exit(main())

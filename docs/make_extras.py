"""Prints the table of extras in docs/install.md, weighed in the environment that runs this; ``--write`` puts it there.

What an extra weighs is what its packages and what they ask for take on the disk, without what the core has already.
Where one of them is not installed here, that is said instead.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "install.md"
PURPOSES = {
    "tflite": "Arm boards and phones, with LiteRT",
    "openvino": "Intel and AMD processors",
    "tvm": "any processor: one library that needs only libc; kernels can be tuned",
    "micro": "microcontrollers: a C library",
    "tflite-micro": "TFLite for Micro's interpreter, here",
    "ethos-u": "Arm's compiler for Ethos-U",
    "train": "distillation, training on the integers",
    "prune": "pruning",
    "search": "`edgeopt search`",
    "compress": "`train`, `prune` and `search`",
    "ray": "farms of devices",
    "onnx": "`edgeopt export --format onnx`",
    "explain": "attributions, and pictures of them",
    "timm": "`timm:NAME`",
    "torchvision": "`torchvision:NAME`",
    "ultralytics": "`ultralytics:NAME`; AGPL-3.0",
    "hf": "`hf:NAME`",
    "models": "`timm`, `torchvision`, `ultralytics` and `hf`",
    "all": "the four backends, `compress`, `onnx` and `explain`",
}


def main() -> None:
    """Does what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put it into docs/install.md")
    table = "\n".join(rows()) + "\n"
    if parser.parse_args().write:
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(re.sub(r"(?:^\|.*\n)+", lambda _: table, text, count=1, flags=re.MULTILINE))
    else:
        print(table, end="")


def rows() -> list[str]:
    """Returns the lines of the table, the core first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = closure(project["dependencies"])
    lines = ["| extra | for | packages | MB |", "|---|---|---|---|"]
    lines.append(
        f"| none | the core: everything but a toolchain | {_names(project['dependencies'])} | {_weight(core)} |"
    )
    for extra, wanted in project["optional-dependencies"].items():
        more = closure(_flat(wanted, project["optional-dependencies"])) - core
        names = _names(wanted)
        lines.append(f"| `{extra}` | {PURPOSES[extra]} | {names} | {_weight(more)} |")
    return lines


def _flat(wanted: list[str], extras: dict[str, list[str]]) -> list[str]:
    """Returns requirements with edgeopt's own extras replaced by what they bring."""
    flat: list[str] = []
    for one in map(Requirement, wanted):
        inner = [word for extra in one.extras for word in extras[extra]]
        flat += _flat(inner, extras) if one.name == "edgeopt" else [str(one)]
    return flat


def closure(wanted: list[str]) -> set[str]:
    """Returns all distributions that requirements ask for, here, each with its own requirements."""
    found: set[str] = set()
    pending = [(Requirement(one), frozenset({""})) for one in wanted]
    while pending:
        requirement, extras = pending.pop()
        name = canonicalize_name(requirement.name)
        marker = requirement.marker
        if marker is not None and not any(marker.evaluate({"extra": one}) for one in extras):
            continue
        if name in found:
            continue
        found.add(name)
        inner = frozenset({"", *requirement.extras})
        pending += [(Requirement(one), inner) for one in _requires(name)]
    return found


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def _weight(names: set[str]) -> str:
    total = 0
    for name in sorted(names):
        try:
            files = metadata.files(name) or []
        except metadata.PackageNotFoundError:
            return "not measured"
        paths = (Path(str(file.locate())) for file in files)
        total += sum(path.stat().st_size for path in paths if path.is_file())
    return f"{total / 1e6:.0f}"


def _names(wanted: list[str]) -> str:
    named = [Requirement(one) for one in wanted if not one.startswith("edgeopt[")]
    return ", ".join(one.name for one in named)


if __name__ == "__main__":
    main()

"""Whether a manifest is built as it has to be: who reads it may then take its fields for what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["find_fault"]

_DTYPES = frozenset(
    [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
    + ["float16", "float32", "float64", "bool", "complex64", "complex128"]
)
_PROGRAM: dict[str, type] = {
    "method": str,
    "precision": str,
    "entry": str,
    "deltas": dict,
    "metadata": dict,
    "signature": dict,
    "reads": dict,
    "writes": dict,
    "pads": list,
    "splits": bool,
}
"""Field of each program to its type."""
_KINDS: dict[str, type] = {
    **_PROGRAM,
    "name": str,
    "backend": str,
    "size_bytes": int,
    "target": dict,
    "files": dict,
    "requirements": list,
    "pythons": list,
    "variants": list,
    "states": dict,
}


def find_fault(manifest: dict[str, Any]) -> str:
    """Returns which field is missing or of another type; '' where none is."""
    return next(filter(None, _faults(manifest)), "")


def _faults(manifest: dict[str, Any]) -> Iterator[str]:
    wrong = [name for name, kind in _KINDS.items() if not isinstance(manifest.get(name), kind)]
    yield from wrong
    if wrong:
        return
    for name in ("name", "title"):
        if not isinstance(manifest["target"].get(name), str):
            yield f"target.{name}"
    for name, entry in manifest["files"].items():
        if not _is_inside(name) or not _is_entry(entry):
            yield f"files.{name}"
    for name in ("labels", "report"):
        if manifest.get(name) is not None and manifest[name] not in manifest["files"]:
            yield name
    yield from (
        f"states.{name}"
        for name, info in manifest["states"].items()
        if not _is_state(info, manifest["files"])
    )
    yield from _program_faults(manifest, manifest)
    for place, variant in enumerate(manifest["variants"]):
        wrong = [name for name, kind in _PROGRAM.items() if not _is_a(variant, name, kind)]
        faults = wrong or list(_program_faults(variant, manifest))
        yield from (f"variants[{place}].{fault}" for fault in faults if fault)
        if wrong or any(faults):
            return
    yield _interface_fault(manifest)


def _is_a(fields: Any, name: str, kind: type) -> bool:
    return isinstance(fields, dict) and isinstance(fields.get(name), kind)


def _program_faults(program: dict[str, Any], manifest: dict[str, Any]) -> Iterator[str]:
    """Yields what is wrong with one program of a bundle."""
    files, states = manifest["files"], manifest["states"]
    for side, links in (("inputs", "reads"), ("outputs", "writes")):
        specs = program["signature"].get(side)
        if not isinstance(specs, list) or not all(map(_is_tensor, specs)):
            yield f"signature.{side}"
            return
        names = [spec["name"] for spec in specs]
        wrong = [
            name
            for name, state in program[links].items()
            if name not in names or not isinstance(state, str) or state not in states
        ]
        if wrong or len(set(program["writes"].values())) < len(program["writes"]):
            yield links
            return
        linked = [spec for spec in specs if spec["name"] in program[links]]
        if any(not _fits(spec, states[program[links][spec["name"]]]) for spec in linked):
            yield links
    if not all(isinstance(axis, int) and axis >= 0 for axis in program["pads"]):
        yield "pads"
    if program["entry"] not in files:
        yield "entry"
    if not all(name in files and _is_delta(one, files) for name, one in program["deltas"].items()):
        yield "deltas"
    yield _golden_fault(program, files)


def _interface_fault(manifest: dict[str, Any]) -> str:
    """Returns what is wrong where programs of one method take or give another number of things."""
    counts: dict[str, Any] = {}
    for program in [manifest, *manifest["variants"]]:
        signature = program["signature"]
        inputs = [s["name"] for s in signature["inputs"] if s["name"] not in program["reads"]]
        outputs = [s["name"] for s in signature["outputs"] if s["name"] not in program["writes"]]
        if counts.setdefault(program["method"], (inputs, outputs)) != (inputs, outputs):
            return "variants"
    return ""


def _is_state(info: Any, files: dict[str, Any]) -> bool:
    if not isinstance(info, dict) or not _is_tensor({"name": "", **info}):
        return False
    initial = info.get("initial")
    return initial is None or (isinstance(initial, str) and initial in files)


def _fits(spec: dict[str, Any], state: dict[str, Any]) -> bool:
    return bool(spec["shape"] == state["shape"] and spec["dtype"] == state["dtype"])


def _is_delta(delta: Any, files: dict[str, Any]) -> bool:
    return (
        isinstance(delta, dict)
        and _is_entry(delta)
        and isinstance(delta.get("base"), str)
        and delta["base"] in files
    )


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    return isinstance(entry.get("size_bytes"), int) and isinstance(entry.get("sha256"), str)


def _golden_fault(program: dict[str, Any], files: dict[str, Any]) -> str:
    golden = program.get("golden")
    if golden is None:
        return ""
    if not isinstance(golden, dict) or not isinstance(golden.get("tolerances"), list):
        return "golden"
    if not isinstance(golden.get("samples"), list):
        return "golden.samples"
    for sample in golden["samples"]:
        for side in ("inputs", "outputs"):
            names = sample.get(side) if isinstance(sample, dict) else None
            if not isinstance(names, list) or not all(
                isinstance(n, str) and n in files for n in names
            ):
                return "golden.samples"
    return ""


def _is_tensor(spec: Any) -> bool:
    if not isinstance(spec, dict) or not isinstance(spec.get("shape"), list):
        return False
    texts = isinstance(spec.get("name"), str) and spec.get("dtype") in _DTYPES
    return texts and all(isinstance(size, int) and size >= 0 for size in spec["shape"])


def _is_inside(name: str) -> bool:
    """Returns whether a file's name stays in the bundle."""
    parts = name.split("/")
    return "\\" not in name and ":" not in name and not {"", ".", ".."} & set(parts)

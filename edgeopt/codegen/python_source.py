"""A project in Python: the bundle's own modules, which need numpy and the runtime, and one class around them."""

from __future__ import annotations

from pprint import pformat
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.codegen.templates import filled

if TYPE_CHECKING:
    from edgeopt.codegen.facts import Facts

__all__ = ["python_project"]

_OWN = ("edgeopt_runner/", "runtime.py", "requirements.txt", "tokenizer.json")
_WIDTH = 100


def python_project(facts: Facts) -> tuple[dict[str, str], dict[str, bytes]]:
    """Returns path to text of what is written, and path to content of what is taken from the bundle."""
    own: dict[str, Any] = msgspec.to_builtins(facts.own)
    plain: dict[str, Any] = msgspec.to_builtins(facts.manifest)
    described = {
        "method": own["method"],
        "signature": own["signature"],
        "reads": {},
        "writes": {},
        "variants": [],
        "preprocess": None if facts.number else plain["preprocess"],
        "postprocess": None if facts.number else plain["postprocess"],
    }
    golden = own["golden"] or {"samples": [], "tolerances": []}
    texts = {
        "application.py": filled(
            "python/application.py.txt",
            entry=ascii(own["entry"].split("/")[-1]),
            metadata=_literal(own["metadata"]),
            facts=_literal(described),
            labels=_literal(list(facts.labels)),
        ),
        "check.py": filled(
            "python/check.py.txt",
            samples=_literal(golden["samples"]),
            tolerances=_literal(golden["tolerances"]),
        ),
    }
    return texts, _modules(facts)


def _modules(facts: Facts) -> dict[str, bytes]:
    """Returns the bundle's modules; those of ``lib/`` lie beside them."""
    files = {}
    for name in facts.manifest.files:
        flat = name.removeprefix("lib/")
        if name.startswith(_OWN) or (flat != name and flat.endswith(".py")):
            files[flat] = facts.bundle.read(name)
    return files


def _literal(value: Any) -> str:
    """Returns plain values (of JSON) as Python source: ``repr`` escapes what has to be."""
    text = pformat(value, width=_WIDTH, sort_dicts=False)
    return text.encode("ascii", "backslashreplace").decode("ascii")

"""Writes the table of devices in docs/targets.md from the descriptors that are installed.

python docs/make_targets.py           # write it
python docs/make_targets.py --check   # exit with 1 where it is out of date
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import edgeopt_targets
from edgeopt.registry.descriptor import read_descriptor

if TYPE_CHECKING:
    from edgeopt.contracts import Target

PAGE = Path(__file__).with_name("targets.md")
START, END = "<!-- table: python docs/make_targets.py -->\n", "<!-- end of table -->"
HEAD = (
    "| name | device | cores | features that matter | memory | system | integers | backends |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
)
MATTERS = (
    "neon", "fp16", "dotprod", "i8mm", "bf16", "sve", "sse4_2", "avx2", "avx_vnni",
    "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16", "v",
)  # fmt: skip


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(START)
    after = rest.split(END)[1]
    new = before + START + table() + END + after
    if "--check" in arguments:
        return int(new != page)
    PAGE.write_text(new, encoding="utf-8")
    return 0


def table() -> str:
    """Returns the table in Markdown, one row a descriptor that edgeopt-targets ships."""
    files = sorted(edgeopt_targets.descriptors().glob("*.toml"))
    return HEAD + "".join(_row(read_descriptor(file)) for file in files)


def _row(target: Target) -> str:
    features = [name for name in MATTERS if name in target.cpu.isa] or ["none"]
    cells = (
        f"`{target.name}`",
        target.title,
        _cores(target),
        ", ".join(f"`{name}`" for name in features) if features != ["none"] else "none",
        _memory(target.memory_mb),
        _system(target),
        f"{target.quantization.activations}, {target.quantization.weight_bits}-bit weights",
        ", ".join(target.backends),
    )
    return f"| {' | '.join(cells)} |\n"


def _cores(target: Target) -> str:
    cpu = target.cpu
    kinds = f", {cpu.fast_cores} fast" if cpu.fast_cores else ""
    clock = f" at {cpu.max_mhz / 1000:g} GHz" if cpu.max_mhz else ""
    return f"{cpu.cores} x {cpu.model}{clock}{kinds}"


def _memory(mib: int) -> str:
    if not mib:
        return "varies"
    return f"from {mib // 1024} GB" if mib >= 1024 else f"{mib} MB"  # noqa: PLR2004 (MiB a GiB)


def _system(target: Target) -> str:
    return f"{target.os.name}; glibc {target.os.glibc}, Python {target.os.python}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

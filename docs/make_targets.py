"""Writes the tables of devices in docs/targets.md from the descriptors that are installed.

python docs/make_targets.py           # write it
python docs/make_targets.py --check   # exit with 1 where it is out of date
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import edgeopt_targets
from edgeopt.registry.descriptor import read_descriptor

if TYPE_CHECKING:
    from edgeopt.contracts import Microcontroller, Target

PAGE = Path(__file__).with_name("targets.md")
END = "<!-- end of table -->"
HEAD = (
    "| name | device | cores | features that matter | memory | system | integers | backends |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
)
MICRO_HEAD = (
    "| name | device | core | features that matter | flash | RAM | emulated by |\n"
    "| --- | --- | --- | --- | --- | --- | --- |\n"
)
MATTERS = (
    "neon", "fp16", "dotprod", "i8mm", "bf16", "sve", "sse4_2", "avx2", "avx_vnni",
    "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16", "v",
    "dsp", "fpsp", "fpdp", "mve", "zbb",
)  # fmt: skip


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    options = parser.parse_args(arguments)
    page = PAGE.read_text(encoding="utf-8")
    new = page
    for name, text in tables().items():
        start = f"<!-- {name}: python docs/make_targets.py -->\n"
        before, rest = new.split(start)
        new = before + start + text + END + rest.split(END, 1)[1]
    if options.check:
        return int(new != page)
    PAGE.write_text(new, encoding="utf-8")
    return 0


def tables() -> dict[str, str]:
    """Returns tables in Markdown by the name in their marker, one row a descriptor that is shipped."""
    files = sorted(edgeopt_targets.descriptors().glob("*.toml"))
    targets = [read_descriptor(file) for file in files]
    rows = [_row(target) for target in targets if target.microcontroller is None]
    micro = [_micro_row(t, t.microcontroller) for t in targets if t.microcontroller is not None]
    return {
        "table": HEAD + "".join(rows),
        "microcontrollers": MICRO_HEAD + "".join(micro),
    }


def _row(target: Target) -> str:
    cells = (
        f"`{target.name}`",
        target.title,
        _cores(target),
        _features(target),
        _memory(target.memory_mb),
        _system(target),
        f"{target.quantization.activations}, {target.quantization.weight_bits}-bit weights",
        ", ".join(target.backends),
    )
    return f"| {' | '.join(cells)} |\n"


def _micro_row(target: Target, micro: Microcontroller) -> str:
    clock = f" at {target.cpu.max_mhz} MHz" if target.cpu.max_mhz else ""
    cells = (
        f"`{target.name}`",
        target.title,
        target.cpu.model + clock,
        _features(target),
        f"{micro.flash_kb} KiB",
        f"{micro.ram_kb} KiB"
        + (f", {micro.arena_kb} in one" if micro.arena_kb < micro.ram_kb else ""),
        f"`{micro.emulator}`" if micro.emulator else "nothing",
    )
    return f"| {' | '.join(cells)} |\n"


def _features(target: Target) -> str:
    return ", ".join(f"`{name}`" for name in MATTERS if name in target.cpu.isa) or "none"


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

"""`edgeopt targets` and `edgeopt backends`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeopt.cli import options as opt

if TYPE_CHECKING:
    from edgeopt.contracts import MemoryRegion, Microcontroller, Target
    from edgeopt.contracts.target import Os

__all__ = ["backend_table", "backends", "targets"]


def targets(
    *,
    name: Annotated[
        str | None, typer.Argument(help="Show all that is known of one, with its sources.")
    ] = None,
    json: opt.Json = False,
) -> None:
    """List the devices that edgeopt knows, or show one."""
    import msgspec  # noqa: PLC0415 (only here)

    from edgeopt.cli.show import print_columns, print_json, print_rows  # noqa: PLC0415
    from edgeopt.registry import find_target  # noqa: PLC0415
    from edgeopt.registry import targets as known  # noqa: PLC0415

    if name is not None:
        entry = find_target(name)
        plain = msgspec.to_builtins(entry)
        print_json(plain) if json else print_rows(_facts(entry))
        return
    every = list(known().values())
    if json:
        print_json([msgspec.to_builtins(one) for one in every])
        return
    header = ("target", "device", "processor", "cores", "memory", "backends")
    print_columns(header, [_row(one) for one in every])


def backends(*, json: opt.Json = False) -> None:
    """List the installed backends, and what to type where a toolchain is missing."""
    from edgeopt.cli.show import print_columns, print_json  # noqa: PLC0415

    table = backend_table()
    if json:
        print_json(table)
        return
    rows = [(b["name"], b["package"], _said(b), ", ".join(b["versions"])) for b in table]
    print_columns(("backend", "package", "status", "toolchain"), rows)
    for one in table:
        if one["fix"]:
            typer.echo(f"{one['name']}: {one['fix']}")


def _said(one: dict[str, Any]) -> str:
    """Returns a status in a column; what to type comes below the table, where it can be copied."""
    return "toolchain missing" if one["fix"] else str(one["status"])


def backend_table() -> list[dict[str, Any]]:
    """Returns one entry for each installed backend: name, package, status, what to type, versions."""
    from edgeopt.errors import PluginError  # noqa: PLC0415
    from edgeopt.registry import backends as installed  # noqa: PLC0415

    table = []
    for name, info in installed().items():
        versions: dict[str, str] = {}
        fix = ""
        try:
            backend = info.load()
            fix = backend.available() or ""
            versions = backend.versions()
            state = "missing" if fix else "ok"
            status = f"toolchain missing: {fix}" if fix else "ready"
        except PluginError as error:
            state, status = "broken", str(error).replace("\n", " ")
        table.append(
            {
                "name": name,
                "package": f"{info.distribution} {info.version}",
                "status": status,
                "ready": state == "ok",
                "state": state,
                "fix": fix,
                "versions": [f"{tool} {version}" for tool, version in versions.items()],
            }
        )
    return table


def _row(target: Target) -> tuple[str, ...]:
    cpu = target.cpu
    return (
        target.name,
        target.title,
        f"{cpu.model} ({cpu.arch})",
        str(cpu.cores),
        _memory(target),
        ", ".join(target.backends),
    )


def _memory(target: Target) -> str:
    micro = target.microcontroller
    if micro is not None:
        return f"{micro.flash_kb} KiB flash, {micro.ram_kb} KiB RAM"
    return f"{target.memory_mb} MiB" if target.memory_mb else "varies"


def _system(system: Os) -> str:
    versions = (("glibc", system.glibc), ("Python", system.python))
    if not any(version for _, version in versions):
        return system.name
    return ", ".join([system.name, *(f"{name} {version or '-'}" for name, version in versions)])


def _region(one: MemoryRegion) -> str:
    return f"{one.name}: {one.size_kb} KiB of {one.kind} at 0x{one.start:08X}"


def _micro_facts(micro: Microcontroller) -> list[tuple[str, str]]:
    """Returns what only a microcontroller has."""
    reserved = f"{micro.reserved_flash_kb} KiB of flash, {micro.reserved_ram_kb} KiB of RAM"
    able = [f"{micro.fpu} precision FPU"] if micro.fpu != "none" else ["no FPU"]
    able += [name for name, has in (("DSP", micro.dsp), ("Helium", micro.mve)) if has]
    return [
        *[("region", _region(one)) for one in micro.regions],
        ("reserved", reserved),
        ("largest arena", f"{micro.arena_kb} KiB"),
        ("core", ", ".join(able)),
        ("compiled for", f"{micro.zig_triple} -mcpu={micro.zig_cpu}"),
        ("emulated by", f"QEMU's {micro.emulator}" if micro.emulator else ""),
    ]


def _facts(target: Target) -> list[tuple[str, str]]:
    cpu, system, q = target.cpu, target.os, target.quantization
    rows = [
        ("name", target.name),
        ("device", target.title),
        ("aliases", ", ".join(target.aliases)),
        ("system on chip", target.soc),
        ("processor", f"{cpu.cores} x {cpu.model} ({cpu.arch}), {cpu.max_mhz or '?'} MHz"),
        ("instructions", " ".join(cpu.isa)),
        ("vectors", f"{cpu.vector_bits} bits"),
        ("memory", _memory(target)),
        *(_micro_facts(target.microcontroller) if target.microcontroller else ()),
        ("system", _system(system)),
        ("backends", ", ".join(target.backends)),
        (
            "quantization",
            f"{q.activations}, {q.weight_bits}-bit weights, channels x {q.channel_multiple}",
        ),
    ]
    rows += [("rate", f"{r.what} {r.value:g} ({r.source})") for r in target.rates]
    rows += [("note", note) for note in target.notes]
    rows += [("source", f"{field}: {source}") for field, source in target.sources.items()]
    return [(what, value) for what, value in rows if value]

"""`edgeopt devices`: the user's own devices, and what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeopt.cli import options as opt
from edgeopt.cli.guard import guarded

if TYPE_CHECKING:
    from edgeopt.devices.check import DeviceCheck

__all__ = ["devices"]

devices = typer.Typer(name="devices", help="Name devices, list them, and see what they are.")

Name = Annotated[str, typer.Argument(help="The name that the device has or gets.")]


def add(
    *,
    name: Name,
    device: Annotated[
        str,
        typer.Argument(
            help="ssh://user@host:port, adb:SERIAL, serial:PORT, emulated:armv7, local."
        ),
    ],
    target: Annotated[str, typer.Option("--target", "-t", help="The target that it is.")] = "",
    notes: Annotated[str, typer.Option(help="What a person should know.")] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a device of that name.")
    ] = False,
) -> None:
    """Give a device a name, which --device takes everywhere."""
    from edgeopt.cli.show import printable  # noqa: PLC0415 (only here)
    from edgeopt.devices import find_device  # noqa: PLC0415 (only here)
    from edgeopt.devices.registry import Known, add_device, registry_file  # noqa: PLC0415
    from edgeopt.registry import find_target  # noqa: PLC0415

    target_name = find_target(target).name if target else ""
    find_device(device).close()  # says what is wrong with it; nothing is connected yet
    add_device(name, Known(device, target_name, notes), replace=overwrite)
    typer.echo(printable(f"{name}: {device}, in {registry_file()}"))


def list_all(*, json: opt.Json = False) -> None:
    """List the devices that have names."""
    import msgspec  # noqa: PLC0415 (only here)

    from edgeopt.cli.show import print_columns, print_json  # noqa: PLC0415
    from edgeopt.devices.registry import known_devices  # noqa: PLC0415

    entries = known_devices()
    if json:
        print_json(msgspec.to_builtins(entries))
        return
    rows = [(name, one.device, one.target, one.notes) for name, one in sorted(entries.items())]
    print_columns(("device", "where", "target", "notes"), rows)


def remove(*, name: Name) -> None:
    """Forget a device's name; nothing on the device changes."""
    from edgeopt.cli.show import printable  # noqa: PLC0415 (only here)
    from edgeopt.devices.registry import remove_device  # noqa: PLC0415 (only here)

    typer.echo(printable(f"{name}: {remove_device(name).device} is forgotten"))


def check(
    *,
    name: Annotated[str, typer.Argument(help="A device's name, or what --device takes.")],
    target: Annotated[str, typer.Option("--target", "-t", help="Compare with this target.")] = "",
    json: opt.Json = False,
) -> None:
    """Say what a device is, whether it matches its target, what is missing, and what to type."""
    from edgeopt.cli.show import print_json  # noqa: PLC0415 (only here)
    from edgeopt.devices import find_device  # noqa: PLC0415
    from edgeopt.devices.check import check_device  # noqa: PLC0415
    from edgeopt.devices.registry import known_devices  # noqa: PLC0415

    entry = known_devices().get(name)
    with find_device(name) as device:
        report = check_device(device, target or (entry.target if entry else ""))
    if json:
        print_json(_plain(report))
    else:
        _print(report)
    if not report.ok:
        raise typer.Exit(1)


for _command, _name in ((add, "add"), (list_all, "list"), (check, "check"), (remove, "remove")):
    devices.command(_name)(guarded(_command))


def _plain(found: DeviceCheck) -> dict[str, Any]:
    import msgspec  # noqa: PLC0415 (only here)

    return {**msgspec.to_builtins(found), "ok": found.ok}


def _print(found: DeviceCheck) -> None:
    from edgeopt.cli.show import print_columns, print_rows  # noqa: PLC0415 (only here)

    empty: tuple[Any, ...] = (None, "", [], {})
    facts = [(key, _shown(value)) for key, value in found.facts.items() if value not in empty]
    runtimes = ", ".join(f"{name} {version}" for name, version in found.runtimes.items())
    print_rows([*facts, ("runtimes", runtimes or "none that its Python finds by itself")])
    typer.echo(f"\ncompared with {found.target}:" if found.target else "\nits state:")
    rows = [(one.what, one.status, one.detail, one.fix) for one in found.findings]
    print_columns(("what", "status", "detail", "what to do"), rows)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one:g}" for key, one in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)

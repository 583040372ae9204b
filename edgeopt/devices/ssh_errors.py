"""What OpenSSH says when it fails, as an error with the way out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from edgeopt.devices.ssh import SshAddress

__all__ = ["explain"]

_OFFENDING = re.compile(r"Offending (?:\S+ )?key in (?P<file>.+):\d+")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/=]{20,}")
_UNKNOWN = re.compile(r"No \S+ host key is known|key is not known|Host key verification failed")
_REASONS = (
    (
        "Could not resolve hostname",
        "its name is not known",
        "is it spelt right, and in the network?",
    ),
    ("Connection refused", "it refuses the connection", "is sshd running there, on this port?"),
    ("timed out", "it does not answer", "is it on, and in the network?"),
    ("No route to host", "there is no way to it", "is it on, and in the network?"),
    ("Network is unreachable", "there is no way to it", "is this machine in a network?"),
)


def explain(said: str, address: SshAddress, where: str, *, opening: bool = False) -> DeviceError:
    """Returns the error for what ``ssh`` said before it ended.

    Args:
        said: Its error output.
        address: Where it was to go.
        where: How a person calls the device.
        opening: Whether the connection was being made; else it was lost.
    """
    if "HOST IDENTIFICATION HAS CHANGED" in said:
        return _changed(said, address, where)
    if _UNKNOWN.search(said):
        return DeviceError(
            "its host key is not known yet, and edgeopt accepts none by itself",
            where=where,
            hint=f"`{address.typed()}` once, and compare the fingerprint with what"
            " `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says on the device",
        )
    if "Permission denied" in said:
        return DeviceError(
            f"it does not let this user in: {_last(said)}",
            where=where,
            hint=f"`{address.typed('ssh-copy-id')}` gives it your key; a key with a passphrase"
            " must be in the agent: `ssh-add`",
        )
    for words, what, hint in _REASONS:
        if words in said:
            return DeviceError(f"{what}: {_last(said)}", where=where, hint=hint)
    if opening:
        hint = f"what does `{address.typed()}` say?"
        return DeviceError(f"it cannot be reached: {_last(said)}", where=where, hint=hint)
    hint = "nothing half-written is left there; try again"
    return DeviceError(f"the connection was lost: {_last(said)}", where=where, hint=hint)


def _changed(said: str, address: SshAddress, where: str) -> DeviceError:
    offending, fingerprint = _OFFENDING.search(said), _FINGERPRINT.search(said)
    file = f" -f '{offending['file']}'" if offending else ""
    name = f"'[{address.host}]:{address.port}'" if address.port not in {0, 22} else address.host
    shown = f" to {fingerprint.group()}" if fingerprint else ""
    return DeviceError(
        f"its host key has changed{shown}: it may be another device, or someone in between",
        where=where,
        hint=f"if you know why (a new system, a new board): `ssh-keygen{file} -R {name}`, then"
        f" `{address.typed()}` once, and compare the fingerprint",
    )


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "ssh said nothing"

"""What a device behind a shell is: its folder, its Python, its architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.boundary import convert, decode_json
from edgeopt.devices.link import call
from edgeopt.devices.platforms import platform_tags
from edgeopt.devices.probe import ARCHS
from edgeopt.devices.shell import quote
from edgeopt.devices.wheels import Interpreter
from edgeopt.errors import DeviceError, InputError

if TYPE_CHECKING:
    from edgeopt.devices.link import Link

__all__ = ["About", "ask_about"]

# The markers' names are those of PEP 508. Under QEMU's user mode a program sees itself as /proc/*/exe;
# another one, here a child, sees the emulator.
_ASK = """
import json, os, platform, struct, sys
if sys.version_info < (3, 9):
    sys.exit("Python %d.%d is too old" % sys.version_info[:2])
def emulator():
    end, other = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(other, os.readlink("/proc/%d/exe" % os.getppid()).encode()[-200:])
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(other)
    name = os.path.basename(os.read(end, 200).decode("utf-8", "replace"))
    return name if name.startswith("qemu-") else ""
own = sys.implementation
musl = [n for n in (os.listdir("/lib") if os.path.isdir("/lib") else []) if n.startswith("ld-musl")]
print("said", json.dumps({
    "machine": platform.machine(),
    "bits": 8 * struct.calcsize("P"),
    "glibc": platform.libc_ver()[1] if platform.libc_ver()[0] == "glibc" else "",
    "musl": bool(musl),
    "emulator": emulator(),
    "markers": {
        "implementation_name": own.name,
        "implementation_version": "%d.%d.%d" % own.version[:3],
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": "%d.%d" % sys.version_info[:2],
        "sys_platform": sys.platform,
    },
}))
"""
_PYTHONS = " ".join(["python3", *(f"python3.{minor}" for minor in range(14, 8, -1)), "python"])


class About(msgspec.Struct, frozen=True):
    """What does not change on a device.

    Attributes:
        work: The folder that edgeopt may use.
        machine: What its system calls the processor's architecture.
        bits: Of its programs.
        python: Its Python's path; empty where it has none, or only one that is too old.
        glibc: Version of its C library; empty where it is another, or not known.
        musl: Whether its C library is musl.
        emulator: The emulator that its Python runs under; empty where it runs by itself.
        markers: The environment that conditions of Python requirements are evaluated in.
    """

    work: str
    machine: str
    bits: int = 0
    python: str = ""
    glibc: str = ""
    musl: bool = False
    emulator: str = ""
    markers: dict[str, str] = {}

    @property
    def arch(self) -> str:
        """Our name of the architecture, or the system's own where we have none."""
        arch = ARCHS.get(self.machine, self.machine)
        return "armv7" if arch == "aarch64" and self.bits == 32 else arch  # noqa: PLR2004

    def interpreter(self, where: str) -> Interpreter:
        """Returns its Python as pip has to know it to choose wheels.

        Raises:
            DeviceError: It has none.
        """
        if not self.python:
            raise DeviceError("there is no Python on it to install for", where=where)
        tags = platform_tags(self.arch, glibc=self.glibc, musl=self.musl)
        return Interpreter(self.markers["python_version"], tags, self.markers)


def ask_about(link: Link, work: str) -> About:
    """Returns what the device behind ``link`` is; makes its work folder.

    Args:
        link: The way to it.
        work: The folder to use, as a word of a script.

    Raises:
        DeviceError: It cannot be reached, or the folder cannot be made.
    """
    answer = call(link, _script(work))
    if answer.word != "done":
        raise DeviceError(f"its work folder cannot be made: {answer.reason}", where=link.name)
    fields: dict[str, Any] = {}
    for line in answer.stdout.decode("utf-8", "surrogateescape").splitlines():
        key, _, value = line.partition(" ")
        fields[key] = value
    try:
        python = decode_json(fields.pop("said", "{}"), dict[str, Any], where=link.name)
        bits = int(fields.pop("bits", "") or 0)
        return convert({"bits": bits, **fields, **python}, About, where=link.name)
    except (ValueError, InputError) as error:
        raise DeviceError("its shell does not say what it is", where=link.name) from error


def _script(work: str) -> str:
    return f"""
w={work}
mkdir -p "$w" && cd "$w" || end failed 1
echo "work $(pwd -P)"
echo "machine $(uname -m)"
echo "bits $(getconf LONG_BIT 2>/dev/null)"
for p in {_PYTHONS}; do
  command -v $p >/dev/null || continue
  said=$($p -c {quote(_ASK)} 2>/dev/null) || continue
  echo "python $(command -v $p)"
  echo "$said"
  break
done
end done 0
"""

"""What a backend makes of a program, and what it needs on the device."""

from __future__ import annotations

from typing import Any

import msgspec

from edgeopt.contracts.signature import Signature

__all__ = ["Artifact", "DeviceRuntime", "Wheel"]


class Artifact(msgspec.Struct, frozen=True):
    """A compiled program: bytes, and what is needed to run them.

    Attributes:
        backend: Name of the backend that made it.
        target: Name of the target it was made for.
        precision: ``int8``, ``int16x8``, ``int8-dynamic``, ``int4-dynamic``, ``float16`` or
            ``float32``.
        signature: Inputs and outputs as the float model has them.
        files: File name to content; deterministic for the same program, target and tools.
        entry: Name of the file in ``files`` that the runtime opens.
        metadata: JSON-able facts for the runner: input and output quantization, layouts.
        program_digest: Digest of the Program it was compiled from.
        tools: Tool name to version, for example ``{"ai-edge-litert": "2.3.0"}``.
        operators: Runtime operator name to how many of it the artefact holds.
        origins: Runtime operator or tensor name to the program's value it came from.
        parts: What the files were linked from, where the backend can put several programs into one
            file (`edgeopt.contracts.JoinsPrograms`); not part of a bundle.
    """

    backend: str
    target: str
    precision: str
    signature: Signature
    files: dict[str, bytes]
    entry: str
    metadata: dict[str, Any] = {}
    program_digest: str = ""
    tools: dict[str, str] = {}
    operators: dict[str, int] = {}
    origins: dict[str, str] = {}
    parts: dict[str, bytes] = {}

    @property
    def size_bytes(self) -> int:
        """Sum of the sizes of all files."""
        return sum(len(content) for content in self.files.values())


class Wheel(msgspec.Struct, frozen=True):
    """A Python requirement that exists for the device.

    Attributes:
        name: Distribution name.
        version: Exact version.
        pythons: Python versions with a wheel for the device's CPU, for example ``("3.11", "3.12")``.
    """

    name: str
    version: str
    pythons: tuple[str, ...]

    @property
    def requirement(self) -> str:
        """The line for a requirements file."""
        return f"{self.name}=={self.version}"


class DeviceRuntime(msgspec.Struct, frozen=True):
    """What must be on the device so that an artefact runs there.

    Attributes:
        name: Name of the runtime, for example ``LiteRT``.
        wheels: Python requirements.
        runner: Source text of the module ``runtime.py`` that the bundle's runner imports. It needs
            only numpy and ``wheels``, runs on Python 3.9, and defines

                class Model:
                    def __init__(self, path: str, metadata: dict, threads: int): ...
                    def __call__(self, *inputs): ...   # list of arrays, the float model's I/O
                    def facts(self) -> dict: ...       # runtime name and version

            It may define ``invoke()``, the runtime alone on the last inputs, and
            ``operators(runs, *inputs)``, what each operator takes; docs/bundle-format.md has its form.
        files: Further files for the device, name to content.
        notes: What a person should know, for example why no other version fits.
    """

    name: str
    wheels: tuple[Wheel, ...]
    runner: str
    files: dict[str, bytes] = {}
    notes: tuple[str, ...] = ()

"""What build systems and people need beside the source: CMake, PlatformIO, Arduino, Zephyr, an example."""

from __future__ import annotations

from importlib import resources

__all__ = ["package_files"]

_FILES = (
    "CMakeLists.txt",
    "library.json",
    "library.properties",
    "zephyr/module.yml",
    "zephyr/CMakeLists.txt",
    "example/main.c",
)


def package_files(values: dict[str, str]) -> dict[str, bytes]:
    """Returns the files of all build systems, by name.

    Args:
        values: What ``@word@`` stands for: ``name``, ``core``, ``precision``, ``arena``.
    """
    values = {**values, "NAME": values["name"].upper()}
    folder = resources.files("edgeopt_micro") / "native" / "packaging"
    return {name: _filled((folder / name).read_text(), values).encode() for name in _FILES}


def _filled(text: str, values: dict[str, str]) -> str:
    for word, value in values.items():
        text = text.replace(f"@{word}@", value)
    return text

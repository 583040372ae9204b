"""Pictures in files as inputs of a model, prepared by the code that prepares them on the device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edgeopt.bundles.device.edgeopt_runner.bundle import MISSING, Stop
from edgeopt.bundles.device.edgeopt_runner.photo import open_picture
from edgeopt.bundles.device.edgeopt_runner.picture import prepare_picture
from edgeopt.errors import CalibrationError, InputError, PluginError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgeopt.options import Preprocess

__all__ = ["Pictures", "picture_files"]

_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}


def picture_files(where: Path) -> list[Path]:
    """Returns the pictures in a folder, and in folders below it (one a class, often), by name; or the one at ``where``."""
    files = [where] if where.is_file() else where.rglob("*")
    return sorted(p for p in files if p.suffix.lower() in _ENDINGS and p.is_file())


@dataclass(frozen=True)
class Pictures:
    """Pictures as inputs; each is read when it is asked for, and again the next time.

    Attributes:
        paths: The files.
        preprocess: How they are prepared.
    """

    paths: tuple[Path, ...]
    preprocess: Preprocess

    @classmethod
    def of(cls, where: Path | str | Iterable[Path | str], preprocess: Preprocess) -> Pictures:
        """Returns the pictures of a folder, or of files.

        Raises:
            CalibrationError: There are none.
        """
        if isinstance(where, (str, Path)):
            path = Path(where)
            paths = picture_files(path) if path.is_dir() else [path]
        else:
            paths = [Path(one) for one in where]
        if not paths:
            hint = f"files that end in {', '.join(sorted(_ENDINGS))}"
            raise CalibrationError("there are no pictures", where=str(where), hint=hint)
        return cls(tuple(paths), preprocess)

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Any]:
        plain = msgspec.to_builtins(self.preprocess)
        for path in self.paths:
            array = _read(path, plain)
            yield {plain["input"]: array} if plain["input"] else array


def _read(path: Path, plain: dict[str, Any]) -> np.ndarray:
    """Returns one input, (1, C, H, W) or (1, H, W, C)."""
    try:
        photograph = open_picture(str(path), grey=plain["color"].startswith("L"))
        return np.ascontiguousarray(prepare_picture(photograph, plain)[0])
    except Stop as stop:
        kind = PluginError if stop.code == MISSING else InputError
        raise kind(stop.what, hint=stop.hint or None) from stop

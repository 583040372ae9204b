"""A bundle as an application on this machine: a picture in, boxes out.

What lies before and after the network is done by the bundle's own modules (`edgeopt_runner`), so the
numbers are those of ``run.py`` on a device.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np

from edgeopt.bundles.device.edgeopt_runner import answers, audio, draw, photo, picture, tell, text
from edgeopt.bundles.device.edgeopt_runner.bundle import MISSING, WRONG, Stop
from edgeopt.bundles.read import open_bundle
from edgeopt.errors import BundleError, EdgeoptError, InputError, PluginError
from edgeopt.registry import find_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.bundles.device.edgeopt_runner.detection import Detections
    from edgeopt.bundles.read import Bundle
    from edgeopt.contracts import Runner

__all__ = ["Application", "Interpreter", "Prediction", "Prepared"]


@dataclass(frozen=True)
class Prediction:
    """What a bundle says of one input; prints as ``run.py`` does.

    Attributes:
        answer: The answer, with what it is about.
        outputs: The network's outputs, in the signature's order.
        picture: The picture, as Pillow has it, where it was one.
        skeleton: Pairs of keypoints that a drawing joins.
    """

    answer: answers.Answer
    outputs: tuple[np.ndarray, ...]
    picture: Any = None
    skeleton: tuple[tuple[int, ...], ...] = ()

    @property
    def kind(self) -> str:
        """``classification``, ``detection``, ``segmentation`` or ``embedding``."""
        return self.answer.kind

    @property
    def classes(self) -> list[tuple[int, float]]:
        """Of a classification: classes with their probabilities, the highest first."""
        (row,) = self._of("classification")
        result: list[tuple[int, float]] = row
        return result

    @property
    def detections(self) -> Detections:
        """Of a detection: ``boxes`` (N, 4) in pixels of the picture, ``scores``, ``classes`` and more."""
        result: Detections = self._of("detection")
        return result

    @property
    def areas(self) -> np.ndarray:
        """Of a segmentation: the classes of the picture's pixels, (height, width) int32; -1: not seen."""
        result: np.ndarray = self._of("segmentation")
        return result

    @property
    def embedding(self) -> np.ndarray:
        """The vector, (size,) float32."""
        result: np.ndarray = self._of("embedding")[0]
        return result

    def draw(self) -> Any:
        """Returns the picture, as Pillow has it, with the answer on it.

        Raises:
            InputError: There is no picture.
        """
        if self.picture is None:
            raise InputError("there is no picture to draw on", where="prediction")
        return draw.draw(self.picture, self.answer, list(self.skeleton))

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON-able values, as ``run.py --json`` writes them."""
        return tell.plain(self.answer)

    def __str__(self) -> str:
        return "\n".join(tell.lines(self.answer))

    def _of(self, kind: str) -> Any:
        if self.kind != kind:
            raise InputError(f"it is a {self.kind}", where="prediction")
        return self.answer.value


@dataclass(frozen=True)
class Prepared:
    """The inputs that were made of a value.

    Attributes:
        arrays: In the signature's order.
        placement: Where a picture lies in its input.
        picture: The picture, as Pillow has it, where it was one.
        mask: Of a text, 1 where a token is.
    """

    arrays: tuple[np.ndarray, ...]
    placement: picture.Placement | None = None
    picture: Any = None
    mask: np.ndarray | None = None


class Interpreter:
    """What lies before and after the network of a bundle; the network may run anywhere.

    Attributes:
        bundle: The bundle.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._manifest: dict[str, Any] = msgspec.to_builtins(bundle.manifest)
        self._specs = {spec["name"]: spec for spec in self._manifest["signature"]["inputs"]}
        self._labels = bundle.labels()
        self._tokens: text.Tokens | None = None

    def require_meaning(self) -> None:
        """Checks that the bundle says what its outputs mean.

        Raises:
            InputError: It does not.
        """
        if self.bundle.manifest.postprocess is None:
            hint = "deploy it with BundleOptions(postprocess=…), or use edgeopt.load for the arrays"
            what = "the bundle does not say what its outputs mean"
            raise InputError(what, where=str(self.bundle.path), hint=hint)

    def prepare(self, value: Any, **others: np.ndarray) -> Prepared:
        """Returns the inputs that ``value`` becomes.

        Args:
            value: As `Application` takes it.
            **others: Arrays of the other inputs.

        Raises:
            InputError: It is not what the bundle takes, or cannot be read.
            PluginError: Pillow or tokenizers is not installed.
        """
        with _told():
            arrays, placement, photograph = self._prepared(value)
        arrays |= others
        lacking = [name for name in self._specs if name not in arrays]
        if lacking:
            raise InputError(f"there is nothing for input {', '.join(lacking)}", where="inputs")
        mask = arrays.get((self._manifest["preprocess"] or {}).get("mask", ""))
        return Prepared(tuple(arrays[n] for n in self._specs), placement, photograph, mask)

    def tell(self, outputs: tuple[np.ndarray, ...], prepared: Prepared) -> Prediction:
        """Returns what the network's outputs mean.

        Args:
            outputs: In the signature's order.
            prepared: What they were computed from.

        Raises:
            InputError: The bundle does not say it.
            BundleError: They are NaN, or the labels are of another model.
        """
        self.require_meaning()
        with _told():
            answer = answers.answer(
                list(outputs),
                self._manifest,
                self._labels,
                placement=prepared.placement,
                mask=prepared.mask,
            )
        skeleton = tuple(map(tuple, self._manifest["postprocess"].get("skeleton") or ()))
        return Prediction(answer, outputs, prepared.picture, skeleton)

    def _prepared(self, value: Any) -> tuple[dict[str, Any], picture.Placement | None, Any]:
        """Returns the inputs, where a picture lies in them, and the picture."""
        spec = self._manifest["preprocess"]
        kind = spec["kind"] if spec else ""
        if kind == "picture":
            photograph = _picture(value, grey=spec["color"].startswith("L"))
            array, placement = picture.prepare_picture(photograph, spec)
            return {spec["input"]: self._typed(spec["input"], array)}, placement, photograph
        if kind == "text":
            if not isinstance(value, str):
                raise InputError(f"expected a text, got a {type(value).__name__}", where="text")
            return self._text(spec)(value), None, None
        if kind == "audio":
            return {spec["input"]: self._sound(value, spec)}, None, None
        if not isinstance(value, np.ndarray):
            what = "the bundle does not say how a picture, a sound or a text is prepared"
            raise InputError(what, where="preprocess", hint="pass the input as an array")
        return {next(iter(self._specs)): value}, None, None

    def _typed(self, name: str, array: Any) -> np.ndarray:
        dtype = np.dtype(self._specs[name]["dtype"])
        return np.ascontiguousarray(array, dtype if array.dtype.kind == "f" else None)

    def _text(self, spec: dict[str, Any]) -> text.Tokens:
        if self._tokens is None:
            tokenizer = text.make_tokenizer(self.bundle.read(spec["tokenizer"]))
            self._tokens = text.Tokens(tokenizer, spec, self._manifest["signature"]["inputs"])
        return self._tokens

    def _sound(self, value: Any, spec: dict[str, Any]) -> np.ndarray:
        if spec["frame"]:
            hint = (
                "cut the sound into frames, and use edgeopt.load; run.py --audio does all of them"
            )
            raise InputError("the bundle takes frame after frame", where="sound", hint=hint)
        is_file = isinstance(value, (str, Path))
        samples, rate = audio.read_wave(str(value)) if is_file else value
        wide = np.atleast_2d(np.asarray(samples, np.float32))
        array = audio.prepare_audio(wide, rate, spec, self._specs[spec["input"]]["shape"])
        return self._typed(spec["input"], array)


class Application(Interpreter):
    """Runs a bundle on pictures, texts or sounds; a context manager that closes the runtime.

    Attributes:
        bundle: The bundle.
        runner: The network alone, arrays in and out.
    """

    def __init__(self, bundle: Bundle, runner: Runner) -> None:
        super().__init__(bundle)
        self.runner = runner

    @classmethod
    def open(
        cls,
        bundle: Path | str | Bundle,
        *,
        threads: int = 0,
        public_key: Path | str | None = None,
    ) -> Self:
        """Returns the application of a bundle.

        Args:
            bundle: The bundle, or its folder or ``.zip``.
            threads: Threads of the runtime; 0 leaves it to the runtime.
            public_key: Where given, the signature beside the bundle must be of this key.

        Raises:
            EdgeoptError: As `edgeopt.load`; or the bundle does not say what its outputs mean.
        """
        whole = open_bundle(bundle, public_key)
        Interpreter(whole).require_meaning()  # before the runtime is loaded
        backend = find_backend(whole.manifest.backend)
        return cls(whole, backend.load(whole.artifact(), threads=threads))

    def __call__(self, value: Any, **others: np.ndarray) -> Prediction:
        """Returns what the bundle says of ``value``.

        Args:
            value: What ``preprocess`` is for: a picture (path, `PIL.Image.Image`, or uint8 RGB pixels
                (height, width, 3)), a text, or a sound (path of a .wav, or samples and their rate).
                Without ``preprocess`` the only input's array.
            **others: Arrays of the other inputs.

        Raises:
            EdgeoptError: As `Interpreter.prepare` and `Interpreter.tell`.
        """
        prepared = self.prepare(value, **others)
        outputs = self.runner(*prepared.arrays)
        return self.tell(outputs if isinstance(outputs, tuple) else (outputs,), prepared)

    def close(self) -> None:
        """Releases the runtime."""
        self.runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _picture(value: Any, *, grey: bool) -> Any:
    """Returns a picture as Pillow has it, in RGB or grey."""
    if isinstance(value, (str, Path)):
        return photo.open_picture(str(value), grey=grey)
    if isinstance(value, np.ndarray):
        if value.dtype != np.uint8 or value.ndim != 3 or value.shape[-1] != 3 or not value.size:  # noqa: PLR2004 (RGB)
            what = f"expected uint8 pixels (height, width, 3), got {value.dtype}{list(value.shape)}"
            raise InputError(what, where="picture")
        from PIL import Image  # noqa: PLC0415 (only for pixels)

        value = Image.fromarray(value)
    if not callable(getattr(value, "convert", None)):
        what = f"expected a path, a picture of Pillow or pixels, got a {type(value).__name__}"
        raise InputError(what, where="picture")
    return value.convert("L" if grey else "RGB")


@contextmanager
def _told() -> Iterator[None]:
    """Turns what ends ``run.py`` into an error of ours."""
    try:
        yield
    except Stop as stop:
        kind: type[EdgeoptError] = InputError
        if stop.code in {MISSING, WRONG}:
            kind = PluginError if stop.code == MISSING else BundleError
        raise kind(stop.what, hint=stop.hint or None) from stop

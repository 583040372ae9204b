"""Gets models, data and functions from what a user writes on the command line."""

from __future__ import annotations

import importlib
import inspect
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.boundary import read_arrays
from edgeopt.errors import CalibrationError, InputError
from edgeopt.options import BundleOptions
from edgeopt.registry.suggest import did_you_mean
from edgeopt.sources import NamedModel, is_name, load_named, source_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgeopt.cli.derive import Answers

__all__ = ["Source", "load_data", "load_function", "load_model", "load_source"]

_FIELDS = ("model", "example_inputs", "calibration_data", "evaluate")
_NAMED = (*_FIELDS, "train_data", "loss", "teacher")
_FORMS = (
    "a model's name (timm:resnet18), package.module:function (no arguments; returns the model, or (model, example_inputs[, "
    "calibration_data[, evaluate]])), a .pt2 file of torch.export, or a program archive"
)


@dataclass(frozen=True)
class Source:
    """What a user's function or file gave; None for what it did not."""

    model: Any
    example_inputs: Any = None
    calibration_data: Any = None
    evaluate: Any = None
    train_data: Any = None
    loss: Any = None
    teacher: Any = None
    bundle: dict[str, Any] = field(default_factory=dict)
    """What a model's name says of what the bundle holds: fields of `edgeopt.BundleOptions`."""


def load_model(spec: str) -> Source:
    """Returns the model that ``spec`` means, with what came with it.

    Args:
        spec: A name (``timm:resnet18``), ``package.module:function``, a ``.pt2`` file, or an archive of
            a Program.

    Raises:
        InputError: It cannot be found or loaded; says which forms there are.
        ProgramError: The archive is damaged.
    """
    if is_name(spec):
        return _of_name(load_named(spec))
    if spec.endswith(".pt2"):
        from edgeopt.data.calls import example_of  # noqa: PLC0415 (torch)
        from edgeopt.ir.untrusted import read_exported  # noqa: PLC0415 (torch)

        exported, example = read_exported(spec)
        return Source(exported, example_of(example))
    if Path(spec).is_file():
        if not _begins_a_zip(spec):
            module = Path(spec).stem if Path(spec).suffix == ".py" else ""
            hint = (
                f"{module}:FUNCTION names a function in it that returns the model"
                if module
                else _FORMS
            )
            raise InputError("neither a .pt2 file nor a program archive", where=spec, hint=hint)
        from edgeopt.ir import load_program  # noqa: PLC0415 (torch)

        return Source(load_program(Path(spec)))
    if Path(spec).is_dir():
        raise InputError(
            "a folder, and no model: a bundle is deployed already", where=spec, hint=_FORMS
        )
    if ":" not in spec:
        raise InputError("no such file, and no module:function", where=spec, hint=_FORMS)
    return _as_source(spec, _call(spec, load_function(spec)))


def _of_name(named: NamedModel) -> Source:
    return Source(named.model, named.example_inputs, bundle=named.bundle_options())


def _begins_a_zip(spec: str) -> bool:
    try:
        with Path(spec).open("rb") as stream:
            return stream.read(2) == b"PK"
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=spec) from error


def load_function(spec: str) -> Callable[..., Any]:
    """Returns the function ``package.module:function``; the current folder is searched too.

    Raises:
        InputError: The module cannot be imported, or has no such function.
    """
    name, _, path = spec.partition(":")
    if not name or not path:
        raise InputError("expected package.module:function", where=spec)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    value: Any = _import(name, spec)
    for part in path.split("."):
        if not hasattr(value, part):
            near = did_you_mean(part, [n for n in vars(value) if not n.startswith("_")])
            raise InputError(f'no "{part}" in {name}', where=spec, hint=near)
        value = getattr(value, part)
    if not callable(value):
        what = f"expected a function, got a {type(value).__name__}"
        raise InputError(what, where=spec)
    return value  # type: ignore[no-any-return]


def load_data(spec: str) -> Any:
    """Returns calibration data: an iterable of inputs.

    Args:
        spec: An ``.npz`` or ``.npy`` file (axis 0 counts batches or samples), a folder of them
            (one item each, by name) or of pictures, one picture, or ``package.module:function`` that
            returns an iterable.

    Raises:
        InputError: There is nothing there, or it is of another kind.
    """
    path = Path(spec)
    if path.is_dir():
        return _of_folder(path)
    if path.suffix in {".npy", ".npz"}:
        if not path.is_file():
            raise InputError("no such file", where=spec)
        return _Files([path])
    if path.is_file() and (pictures := _pictures(path)):
        return PictureFolder(path, pictures)
    if ":" in spec:
        return _call(spec, load_function(spec))
    hint = "an .npz or .npy file, a folder of them or of pictures, or package.module:function"
    raise InputError("no calibration data there", where=spec, hint=hint)


def _pictures(where: Path) -> tuple[Path, ...]:
    from edgeopt.bundles.pictures import picture_files  # noqa: PLC0415 (only here)

    return tuple(picture_files(where))


def _of_folder(folder: Path) -> Any:
    files = sorted(p for p in folder.iterdir() if p.suffix in {".npy", ".npz"})
    if files:
        return _Files(files)
    pictures = _pictures(folder)
    if not pictures:
        raise CalibrationError("no .npy or .npz file in it, and no picture", where=str(folder))
    return PictureFolder(folder, pictures)


@dataclass(frozen=True)
class PictureFolder:
    """Pictures of a folder, or a single one, of which it is not known yet how they are prepared."""

    folder: Path
    paths: tuple[Path, ...]

    def prepared(self, preprocess: Any) -> Any:
        """Returns them as inputs.

        Raises:
            InputError: It is not known how.
        """
        from edgeopt.bundles.pictures import Pictures  # noqa: PLC0415 (only here)
        from edgeopt.options import Preprocess  # noqa: PLC0415

        if not isinstance(preprocess, Preprocess):
            what = "pictures, and nobody says how they become inputs"
            hint = (
                "deploy a model by name (timm:…), calibrate with .npy files, or with "
                "package.module:function that returns edgeopt.pictures(folder, preprocess)"
            )
            raise InputError(what, where=str(self.folder), hint=hint)
        return Pictures(self.paths, preprocess)


@dataclass(frozen=True)
class _Files:
    """Arrays in files, read one after the other; can be iterated again."""

    paths: list[Path]

    def __iter__(self) -> Iterator[Any]:
        for path in self.paths:
            yield _read(path)


def _read(path: Path) -> Any:
    try:
        arrays = read_arrays(path, error=CalibrationError)
    except CalibrationError as error:
        what = f"not an array file: {error.what}"
        raise CalibrationError(what, where=error.where) from error
    if set(arrays) == {""}:
        return arrays[""]
    if not arrays:
        raise CalibrationError("no array in it", where=str(path))
    if all(name == f"arr_{place}" for place, name in enumerate(arrays)):
        return tuple(arrays.values())
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def _import(name: str, spec: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            hint = "run it from the folder that holds the module, or install its package"
            near = did_you_mean(name, [f"{one}:" for one in source_names()])
            hint = f"{near} or {hint}" if near else hint
            raise InputError(f"there is no module {error.name}", where=spec, hint=hint) from error
        raise InputError(f"importing it failed: {error}", where=spec) from error
    except Exception as error:  # whatever the user's module does
        raise InputError(
            f"importing it failed: {type(error).__name__}: {error}", where=spec
        ) from error


def _call(spec: str, function: Callable[..., Any]) -> Any:
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise InputError(f"it must take no arguments: {error}", where=spec) from error
    except ValueError:
        pass
    try:
        return function()
    except Exception as error:  # whatever the user's function does
        raise InputError(f"it raised {type(error).__name__}: {error}", where=spec) from error


def _as_source(spec: str, given: Any) -> Source:
    if isinstance(given, dict):
        unknown = sorted(set(given) - set(_NAMED))
        if unknown or "model" not in given:
            what = f"it returned a dict with {', '.join(map(str, given))}"
            raise InputError(what, where=spec, hint=f"keys: {', '.join(_NAMED)}")
        return Source(**given)
    if isinstance(given, tuple):
        if not 1 <= len(given) <= len(_FIELDS):
            raise InputError(f"it returned {len(given)} things", where=spec, hint=_FORMS)
        return Source(*given)
    if isinstance(given, NamedModel):
        return _of_name(given)
    if given is None:
        raise InputError("it returned nothing", where=spec, hint=_FORMS)
    return Source(given)


def load_source(model: str, answers: Answers) -> Source:
    """Returns the model, with what came with it and what was typed beside."""
    source = load_model(model)
    typed = {n: answers.later[n]() for n in ("calibration_data", "evaluate") if n in answers.later}
    data = typed.get("calibration_data")
    if isinstance(data, PictureFolder):
        bundle = BundleOptions(**{**source.bundle, **answers.plain.get("bundle", {})})
        typed["calibration_data"] = data.prepared(bundle.preprocess)
    return replace(source, **typed)

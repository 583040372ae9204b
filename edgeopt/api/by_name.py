"""Models by name, where the functions of the API take a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.options import BundleOptions
from edgeopt.sources import NamedModel, load_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from edgeopt.bundles.pictures import Pictures
    from edgeopt.options import Preprocess

__all__ = ["load_model", "module_of", "pictures", "with_bundle", "with_example"]


def load_model(name: str, **options: Any) -> NamedModel:
    """Returns a model of another library by its name, with what that knows of it. Nothing is downloaded.

    Args:
        name: ``timm:mobilenetv3_small_100``, ``torchvision:resnet18``, ``ultralytics:yolo11n.pt`` (or the path of
            your own ``.pt``), ``hf:FOLDER`` or ``hf:OWNER/NAME``; options may follow (``,weights=random``).
        **options: Fields of `edgeopt.options.SourceOptions`: ``weights`` (``pretrained``, ``random``, or a file),
            ``size``, ``classes``, ``length``, ``seed``.

    Raises:
        InputError: There is no such model, or its weights are not on this machine: says where was looked.
        ConfigError: An option is unknown, wrong, or makes no difference.
        PluginError: The library is not installed: says what to type.
    """
    return load_named(name, **options)


def pictures(where: Path | str | Iterable[Path | str], preprocess: Preprocess) -> Pictures:
    """Returns pictures as calibration data, prepared as on the device; each is read when it is needed.

    Args:
        where: A folder, with folders below it perhaps, or the files.
        preprocess: How they are prepared: of a `NamedModel`, or your own.

    Raises:
        CalibrationError: There are none.
    """
    from edgeopt.bundles.pictures import Pictures  # noqa: PLC0415 (numpy)

    return Pictures.of(where, preprocess)


def _named(model: Any) -> NamedModel | None:
    if isinstance(model, str):
        return load_named(model)
    return model if isinstance(model, NamedModel) else None


def module_of(model: Any) -> Any:
    """Returns the module that is meant by a name or a `NamedModel`; anything else as it is."""
    named = _named(model)
    return model if named is None else named.model


def with_example(model: Any, example_inputs: Any) -> tuple[Any, Any]:
    """Returns the model, and its example inputs where the user gave none.

    Args:
        model: A name, a `NamedModel`, or any other model.
        example_inputs: What the user gave.
    """
    named = _named(model)
    if named is None:
        return model, example_inputs
    return named.model, named.example_inputs if example_inputs is None else example_inputs


def with_bundle(model: Any, example_inputs: Any, bundle: Any) -> tuple[Any, Any, Any]:
    """Returns model and example inputs as `with_example`, and what the bundle holds beside the model.

    Args:
        model: A name, a `NamedModel`, or any other model.
        example_inputs: What the user gave.
        bundle: `edgeopt.BundleOptions`, a dict of them, or None; what it says wins over what is known by name.
    """
    named = _named(model)
    if named is None:
        return model, example_inputs, bundle
    own = named.bundle_options()
    fields: Mapping[str, Any] = (
        bundle.changes() if isinstance(bundle, BundleOptions) else bundle or {}
    )
    return *with_example(named, example_inputs), {**own, **fields}

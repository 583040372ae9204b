"""Sources of models, found by entry points of the group ``edgeopt.sources`` and imported when first used."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

from edgeopt.errors import EdgeoptError, InputError, PluginError
from edgeopt.registry.suggest import did_you_mean
from edgeopt.sources.named_model import refuse_options
from edgeopt.sources.spec import parse

if TYPE_CHECKING:
    from edgeopt.sources.named_model import ModelSource, NamedModel

__all__ = ["GROUP", "find_source", "is_name", "load_named", "source_names"]

GROUP = "edgeopt.sources"


def source_names() -> list[str]:
    """Returns what may stand before the colon, in alphabetical order; nothing is imported."""
    return sorted({entry.name for entry in metadata.entry_points(group=GROUP)})


def is_name(text: Any) -> bool:
    """Returns whether something is a model's name (``timm:resnet18``), not a path or a function."""
    return isinstance(text, str) and text.partition(":")[0] in source_names() and ":" in text


def find_source(name: str) -> ModelSource:
    """Returns the source called ``name``.

    Raises:
        PluginError: There is none, two packages claim it, or it does not work.
    """
    claims = list(metadata.entry_points(group=GROUP, name=name))
    if not claims:
        near = did_you_mean(name, source_names())
        hint = f"{near or ''} there are {', '.join(source_names())}".strip()
        raise PluginError(f'there is no source of models "{name}"', where="model", hint=hint)
    if len({entry.value for entry in claims}) > 1:
        packages = " and ".join(sorted(str(e.dist.name if e.dist else e.module) for e in claims))
        hint = "uninstall all but one of them"
        raise PluginError(f'the source "{name}" is claimed by {packages}', hint=hint)
    return _loaded(claims[0])


@cache
def _loaded(entry: metadata.EntryPoint) -> ModelSource:
    try:
        source = entry.load()()
    except EdgeoptError:
        raise
    except Exception as error:
        what = f'the source "{entry.name}" cannot be loaded: {type(error).__name__}: {error}'
        raise PluginError(what, where=entry.value) from error
    lacking = [
        one for one in ("load", "names", "options") if not callable(getattr(source, one, None))
    ]
    if lacking:
        what = f'the source "{entry.name}" lacks {", ".join(lacking)}'
        raise PluginError(
            what, where=entry.value, hint="ask its authors for a version that has them"
        )
    return source  # type: ignore[no-any-return]


def load_named(text: Any, **options: Any) -> NamedModel:
    """Returns the model that ``text`` names, with what its library knows of it.

    Args:
        text: ``SOURCE:NAME``, with options or without: ``timm:resnet18,weights=random``.
        **options: Fields of `edgeopt.options.SourceOptions`; they win over those in the text.

    Raises:
        InputError: There is no such model, or its weights are not on this machine (nothing is ever downloaded).
        ConfigError: An option is unknown, wrong, or makes no difference to this model.
        PluginError: There is no such source, or its library is not installed; says what to type.
    """
    if not isinstance(text, str) or ":" not in text:
        names = f"a torch.nn.Module, or {', '.join(f'{one}:NAME' for one in source_names())}"
        raise InputError(f"expected a model's name, got {text!r}"[:200], where="model", hint=names)
    spec = parse(text, options)
    source = find_source(spec.source)
    refuse_options(spec.options, source.options(), text)
    return source.load(spec)

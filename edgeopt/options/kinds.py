"""Types of fields: numbers with bounds, names, and what msgspec has no type for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from edgeopt.options.names import is_names, names
from edgeopt.registry.schema import Kind

__all__ = [
    "SINGLE",
    "Callback",
    "Count",
    "Data",
    "Drop",
    "Evaluate",
    "FlashLimit",
    "Folder",
    "Function",
    "Lines",
    "Module",
    "Names",
    "NonNegative",
    "Optimizer",
    "Positive",
    "Precision",
    "PrecisionChoice",
    "RamLimit",
    "RangeMethod",
    "RealSums",
    "Schedule",
    "Score",
    "Share",
    "Switch",
    "Threads",
    "Where",
    "Whole",
    "accepting",
]

Count = Annotated[int, Meta(ge=1)]
"""A whole number of 1 or more."""
Whole = Annotated[int, Meta(ge=0)]
"""A whole number of 0 or more."""
NonNegative = Annotated[float, Meta(ge=0.0)]
Drop = Annotated[float, Meta(ge=0.0, extra={"share": True})]
"""How far a score may fall; of scores from 0 to 1 a share, which may be written ``"1%"``."""
Positive = Annotated[float, Meta(gt=0.0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
SINGLE = Meta(extra={"single": True})
"""Says of a list that one name or number may stand for it."""

Threads = Annotated[
    int, Meta(ge=0, description="Threads of the runtime; 0 leaves it to the runtime.")
]

FlashLimit = Annotated[
    Positive | None,
    Meta(
        description="How much flash code and constants may take on a microcontroller, in KiB; None"
        " for what the target has.",
    ),
]
RamLimit = Annotated[
    Positive | None,
    Meta(
        description="How much RAM the arena, with inputs and outputs, may take on a microcontroller, in"
        " KiB; None for what the target has.",
    ),
]

Switch = Literal["auto", "on", "off"]
RangeMethod = Literal["auto", "minmax", "percentile", "mse"]
RealSums = Literal["off", "streams", "functions"]
"""Of which weighted operators nothing rounds the sums: of none, those a stream of real numbers reads, functions too."""

SPELLINGS = {
    "fp16": "float16",
    "bf16": "float16",
    "bfloat16": "float16",
    "f16": "float16",
    "half": "float16",
    "fp32": "float32",
    "f32": "float32",
    "float": "float32",
    "none": "float32",
    "i8": "int8",
    "qint8": "int8",
    "uint8": "int8",
    "static": "int8",
    "int8-static": "int8",
    "ptq": "int8",
    "w8a8": "int8",
    "8": "int8",
    "8bit": "int8",
    "int16": "int16x8",
    "16x8": "int16x8",
    "a16w8": "int16x8",
    "dynamic": "int8-dynamic",
    "dynamic_int8": "int8-dynamic",
    "w8a16": "int16x8",
    "w8": "int8-dynamic",
    "w8a32": "int8-dynamic",
    "weight-only": "int8-dynamic",
    "4bit": "int4-dynamic",
    "int4": "int4-dynamic",
    "w4a16": "int4-dynamic",
    "w4a32": "int4-dynamic",
}
"""How other tools call a precision, to the name here: for hints, none is accepted."""

_PrecisionName = Literal["int8", "int16x8", "int8-dynamic", "int4-dynamic", "float16", "float32"]
"""The names of `edgeopt.contracts.Precision`: a type checker reads only what is written (a test compares)."""
Precision = Annotated[_PrecisionName, Meta(extra={"spellings": SPELLINGS})]
PrecisionChoice = Annotated[Literal["auto", _PrecisionName], Meta(extra={"spellings": SPELLINGS})]


def _again(value: Any) -> bool:
    """Returns whether items can be read from something; text is no data."""
    items = hasattr(value, "__iter__") or hasattr(value, "__getitem__")
    return items and not isinstance(value, (str, bytes))


def _device(value: Any) -> bool:
    """Returns whether something is a name of a device, or may be one itself."""
    return isinstance(value, str) or hasattr(value, "run")


def accepting(
    name: str,
    *types: type,
    fits: Callable[[Any], bool] = callable,
    choices: tuple[str, ...] = (),
    convert: Callable[[Any], Any] = lambda value: value,
) -> Meta:
    """Returns what says of a field that it takes instances of ``types``.

    Args:
        name: What a person calls them.
        *types: The classes.
        fits: What tells such a thing, where no class does; any callable by default.
        choices: Strings that may stand for one.
        convert: From what is given to what the field holds.
    """
    tell = (lambda value: isinstance(value, types)) if types else fits
    return Meta(extra={"kind": Kind(name, tell, choices, convert)})


if TYPE_CHECKING:  # what a user's type checker is told
    from collections.abc import Callable, Iterable

    Names = tuple[str, ...]
    Lines = tuple[str, ...] | Path | str
    Data = Iterable[Any]
    Function = Callable[..., Any]
    Callback = Callable[..., Any]
    Module = Any
    Where = Any
    Evaluate = Callable[[Callable[..., Any]], float]
    Score = Callable[[Any], float]
    Folder = Path | str
    Optimizer = str | Callable[[Any], Any]
    Schedule = str | Callable[[float], float]
else:  # what is checked when one is made: msgspec has no unions with these
    Names = Annotated[tuple[str, ...], SINGLE]
    Lines = Annotated[Any, accepting("names", fits=is_names, convert=names)]
    Data = Annotated[Any, accepting("an iterable of inputs", fits=_again)]
    Function = Annotated[Any, accepting("a function")]
    Callback = Annotated[Any, accepting("a callback")]
    Module = Annotated[Any, accepting("a module", fits=callable)]
    Where = Annotated[Any, accepting("a device", fits=_device)] | None
    Evaluate = Function
    Score = Function
    Folder = Annotated[Any, accepting("a path", str, Path)]
    Optimizer = Annotated[Any, accepting("a function", choices=("adamw", "sgd"))]
    Schedule = Annotated[Any, accepting("a function", choices=("cosine", "linear", "constant"))]

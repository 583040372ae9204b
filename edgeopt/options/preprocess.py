"""How a picture, a sound or a text becomes what the model takes: part of the bundle's contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from msgspec import Meta
from msgspec.structs import force_setattr

from edgeopt.errors import ConfigError
from edgeopt.options.base import Options
from edgeopt.options.kinds import SINGLE, Count, NonNegative, Positive, Whole, accepting
from edgeopt.processing import audio_fields, picture_fields, text_fields
from edgeopt.registry.schema import Problem, shown
from edgeopt.registry.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "IMAGENET",
    "AudioPreprocess",
    "LogMel",
    "Preprocess",
    "Preprocessing",
    "PreprocessingChoice",
    "TextPreprocess",
]

Pair = Annotated[tuple[Count, ...], Meta(max_length=2, extra={"single": True})]
Numbers = Annotated[tuple[float, ...], SINGLE]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box"]
_UNFILTERED = ("nearest", "bilinear", "bicubic")


class Preprocess(Options, frozen=True, tag_field="kind", tag="picture"):
    """How a picture becomes an input: resize, crop, then ``(pixel * scale - mean) / std``.

    Attributes:
        input: Name of the input; empty for the only one.
        resize: ``(height, width)``, or one number for the shorter side; empty for none.
        fit: Of a resize to two numbers: ``stretch`` gives up the ratio of the sides, ``letterbox``
            keeps it and fills the rest.
        align: Where a letterbox puts the picture: ``center`` or ``top-left``.
        enlarge: Whether a letterbox may enlarge a picture.
        fill: Pixel that a letterbox fills with, 0 to 255, one number or one a channel.
        crop: ``(height, width)`` cut out of the middle, or one number for both; empty for none. Where
            the picture is smaller, the rest is black.
        crop_rounding: Which pixel a middle between two is: ``even`` as torchvision and timm do,
            ``down`` as processors of Hugging Face do.
        scale: Factor on the pixels, which are 0 to 255.
        mean: Subtracted, one number a channel.
        std: Divided by, one number a channel.
        color: Order of the channels; ``L`` is one channel of grey, ``LLL`` three of the same.
        layout: Of the input.
        interpolation: Of the resize.
        antialias: Whether a resize looks at all pixels that it merges, as Pillow and torchvision do;
            else at the nearest ones, as OpenCV and `torch.nn.functional.interpolate` do.
        whole: Whether resized pixels are rounded to whole numbers, as in a picture; else the resize
            is of float numbers.
        inside: Whether scale, mean, std, order of the channels and layout are compiled into the
            model, which then takes uint8 pixels, (1, height, width, channels).
    """

    input: str = ""
    resize: Pair = ()
    fit: Literal["stretch", "letterbox"] = "stretch"
    align: Literal["center", "top-left"] = "center"
    enlarge: bool = True
    fill: Annotated[
        tuple[Annotated[float, Meta(ge=0.0, le=255.0)], ...],
        Meta(min_length=1, max_length=3, extra={"single": True}),
    ] = (114.0,)
    crop: Pair = ()
    crop_rounding: Literal["even", "down"] = "even"
    scale: float = 1.0 / 255.0
    mean: Numbers = (0.0,)
    std: Numbers = (1.0,)
    color: Literal["RGB", "BGR", "L", "LLL"] = "RGB"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    interpolation: Interpolation = "bilinear"
    antialias: bool = True
    whole: bool = True
    inside: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.crop) == 1:
            force_setattr(self, "crop", self.crop * 2)

    def conflicts(self) -> Iterable[Problem]:
        """Returns what has no meaning: a division by zero, numbers for no channel."""
        if 0.0 in self.std:
            yield Problem("std", "is divided by: expected numbers other than 0")
        for name in ("mean", "std", "fill"):
            count = len(getattr(self, name))
            if count not in {1, self.channels}:
                what = f"{count} numbers for {self.channels} channels"
                yield Problem(name, what, f"one, or one for each of {self.color}")
        if self.fit == "letterbox" and len(self.resize) != 2:  # noqa: PLR2004 (height and width)
            yield Problem("resize", "a letterbox needs height and width")
        if not self.antialias and self.interpolation not in _UNFILTERED:
            what = f"{self.interpolation} is made with antialias only"
            yield Problem("interpolation", what, f"without it: {', '.join(_UNFILTERED)}")
        if self.inside and not self.whole and self.resize:
            yield Problem("inside", "pixels that the model takes as uint8 are whole numbers")

    @property
    def channels(self) -> int:
        """How many channels the input has."""
        return 1 if self.color == "L" else 3

    @property
    def size(self) -> tuple[int, ...]:
        """Height and width of what comes out; one number, or none, where the picture decides."""
        return self.crop or self.resize

    @classmethod
    def of(cls, transform: Any, **fields: Any) -> Self:
        """Returns what a transform of another library does to a picture.

        Args:
            transform: A transform of torchvision (v1, v2, or of ``weights.transforms()``), timm's
                data config, an image processor of Hugging Face, or the path of its
                ``preprocessor_config.json``.
            **fields: Fields of this type, which win.

        Raises:
            InputError: It does something that has no field here; the step is named.
        """
        return cls(**{**picture_fields(transform, fields), **fields})


class LogMel(Options, frozen=True):
    """Energies of mel bands in a logarithmic scale, as Whisper and most models of speech take them.

    The filters are Slaney's (Auditory Toolbox, 1998), as librosa's and Whisper's, or HTK's.

    Attributes:
        bands: Number of mel bands.
        fft: Samples of one window.
        hop: Samples from one window to the next.
        low_hz: Lower end of the first band.
        high_hz: Upper end of the last band; 0 for half the sample rate.
        scale: Which mel scale: ``slaney`` or ``htk``.
        norm: Whether each filter has the same area (``slaney``), or the same peak (``none``).
        power: Of the amplitudes: 2 for energies, 1 for magnitudes.
        center: Whether the clip is mirrored at its ends, so that windows are around their samples.
        floor: Least energy.
        log: ``log10``, ``ln`` or ``db`` (ten times log10).
        dynamic_range: Least value below the largest, in the logarithm's unit; 0 for none.
        offset: Added to the logarithm.
        divisor: Divided by, after the offset.
        drop_last: Whether the last window is left out, as Whisper does.
        layout: ``bands-frames`` or ``frames-bands``.
    """

    bands: Count = 80
    fft: Count = 400
    hop: Count = 160
    low_hz: NonNegative = 0.0
    high_hz: NonNegative = 0.0
    scale: Literal["slaney", "htk"] = "slaney"
    norm: Literal["slaney", "none"] = "slaney"
    power: Literal[1, 2] = 2
    center: bool = True
    floor: Positive = 1e-10
    log: Literal["log10", "ln", "db"] = "log10"
    dynamic_range: NonNegative = 8.0
    offset: float = 4.0
    divisor: Positive = 4.0
    drop_last: bool = True
    layout: Literal["bands-frames", "frames-bands"] = "bands-frames"


class AudioPreprocess(Options, frozen=True, tag_field="kind", tag="audio"):
    """How a sound becomes an input: one channel, resampled, as samples or as mel bands.

    Attributes:
        input: Name of the input; empty for the only one.
        sample_rate: Samples a second that the model takes.
        mono: Whether the mean of all channels is taken; else each is kept, on the axis before the
            last.
        frame: Samples of one call; 0 for the whole clip, cut or filled to the input's length.
        hop: Samples from one call to the next; 0 for ``frame``.
        normalize: Whether the clip gets mean 0 and variance 1, as for Wav2Vec2.
        mel: Where given, mel bands are the input; else samples from -1 to 1.
    """

    input: str = ""
    sample_rate: Count = 16000
    mono: bool = True
    frame: Whole = 0
    hop: Whole = 0
    normalize: bool = False
    mel: LogMel | None = None

    def conflicts(self) -> Iterable[Problem]:
        """Returns what has no meaning: a hop without frames, bands above the highest frequency."""
        if self.hop and not self.frame:
            yield Problem("hop", "there are no frames to hop over", "pass frame=, in samples")
        if self.mel is not None and self.mel.high_hz > self.sample_rate / 2:
            what = f"{self.mel.high_hz:g} Hz of {self.sample_rate} samples a second"
            yield Problem("mel.high_hz", what, f"at most {self.sample_rate / 2:g}")
        if self.mel is not None and not self.mono:
            yield Problem("mono", "mel bands are of one channel")

    @classmethod
    def of(cls, extractor: Any, **fields: Any) -> Self:
        """Returns what a feature extractor of Hugging Face does to a sound.

        Args:
            extractor: The extractor, or the path of its ``preprocessor_config.json``.
            **fields: Fields of this type, which win.

        Raises:
            InputError: It does something that has no field here; the step is named.
        """
        return cls(**{**audio_fields(extractor, fields), **fields})


class TextPreprocess(Options, frozen=True, tag_field="kind", tag="text"):
    """How a text becomes token ids, a mask and type ids.

    Attributes:
        tokenizer: Path of a ``tokenizer.json`` of the library tokenizers, or its text. The bundle
            holds the file as ``tokenizer.json``.
        ids: Name of the input of token ids; empty for the first one.
        mask: Name of the input that is 1 where a token is; empty for none.
        types: Name of the input of type ids; empty for none.
        max_length: Tokens at most; 0 for as many as the input holds.
        padding: Side that is filled.
        pad_id: Token that is filled with.
        pad_type: Type id that is filled with.
        special: Whether the tokenizer adds its special tokens.
        prefix: Put before each text, for example ``query: ``.
        vocabulary: Number of tokens that the model knows; 0 where unknown. A deployment reads it from
            the model's embedding.
    """

    tokenizer: str
    ids: str = ""
    mask: str = ""
    types: str = ""
    max_length: Whole = 0
    padding: Literal["right", "left"] = "right"
    pad_id: Whole = 0
    pad_type: Whole = 0
    special: bool = True
    prefix: str = ""
    vocabulary: Whole = 0

    def conflicts(self) -> Iterable[Problem]:
        """Returns that two things go into one input."""
        names = [name for name in (self.ids, self.mask, self.types) if name]
        if len(set(names)) < len(names):
            yield Problem("ids", f"one input for two things: {', '.join(names)}")
        if not self.tokenizer:
            yield Problem("tokenizer", "is needed", "the path of a tokenizer.json")

    @classmethod
    def of(cls, tokenizer: Any, **fields: Any) -> Self:
        """Returns what a tokenizer of Hugging Face does to a text.

        Args:
            tokenizer: A ``PreTrainedTokenizerFast``, a ``tokenizers.Tokenizer``, or the folder that
                one was saved to.
            **fields: Fields of this type, which win.

        Raises:
            InputError: It has no ``tokenizer.json``; only fast tokenizers have one.
        """
        return cls(**{**text_fields(tokenizer), **fields})


Preprocessing = Preprocess | AudioPreprocess | TextPreprocess
_KINDS: dict[str, type[Preprocess | AudioPreprocess | TextPreprocess]] = {
    "picture": Preprocess,
    "audio": AudioPreprocess,
    "text": TextPreprocess,
}

IMAGENET = Preprocess(
    resize=(256,), crop=(224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)
"""What most classifiers that were trained on ImageNet take."""


def of_kind(given: Mapping[str, Any], kinds: Mapping[str, type[Any]], usual: str) -> Any:
    """Returns the options that a table with ``kind`` in it describes.

    Args:
        given: The table.
        kinds: What may be said as ``kind`` to the type of the options.
        usual: What it is where ``kind`` is not said; empty where it must be.

    Raises:
        ConfigError: There is no such kind, or a field is wrong.
    """
    name = given.get("kind", usual)
    if not isinstance(name, str) or name not in kinds:
        problem = Problem(
            "kind",
            f"expected one of {', '.join(kinds)}, got {shown(name) if name else 'nothing'}",
            did_you_mean(str(name), list(kinds)) or f"for example {next(iter(kinds))}",
        )
        error = ConfigError(problem.what, where=problem.path, hint=problem.hint)
        error.problems = (problem,)
        raise error
    return kinds[name].from_dict({key: value for key, value in given.items() if key != "kind"})


def _preprocess(given: Any) -> Any:
    """Returns the options of a table, of a name, or as they are; a table without kind is a picture's."""
    if isinstance(given, str):
        return IMAGENET
    return of_kind(given, _KINDS, "picture") if isinstance(given, Mapping) else given


if TYPE_CHECKING:
    PreprocessingChoice = Preprocess | AudioPreprocess | TextPreprocess
else:  # a table without its kind is a picture's, which msgspec's own unions do not know
    PreprocessingChoice = Annotated[
        Any,
        accepting(
            "a Preprocess, AudioPreprocess or TextPreprocess, or its fields",
            Mapping,
            *_KINDS.values(),
            choices=("imagenet",),
            convert=_preprocess,
        ),
    ]

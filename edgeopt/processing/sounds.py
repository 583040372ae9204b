"""Settings of Hugging Face's feature extractors of sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.processing.configs import settings_of
from edgeopt.processing.refusal import readable, refuse_step

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ["audio_fields"]


def audio_fields(extractor: Any, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns fields of `edgeopt.AudioPreprocess` that do what a feature extractor does.

    Args:
        extractor: The extractor, its settings, or the path of its ``preprocessor_config.json``.
        given: Fields that a user passes beside it.

    Raises:
        InputError: It does something that no field says.
    """
    name, settings = settings_of(extractor, "a feature extractor of sound")
    read = _READERS.get(name)
    replaced = frozenset(given or ())
    if settings.get("dither"):
        refuse_step(f"{name}: dither", "noise is added: numbers would differ from run to run")
    if name in _KALDI:
        why = "Kaldi's filter banks (pre-emphasis, frames without their mean, a window shorter than the transform)"
        hint = (
            "compute them with the extractor, and let the model take features: leave preprocess out"
        )
        refuse_step(name, f"it makes {why}, which mel does not say", hint=hint)
    if read is None:
        why = f"its features are not known; known: {', '.join(_READERS)}"
        refuse_step(name or "this extractor", why, replaced=replaced, field="mel")
        with readable(name or "this extractor"):
            return {"sample_rate": int(settings.get("sampling_rate", 16000))}
    with readable(name):
        return {"sample_rate": int(settings["sampling_rate"]), **read(settings, replaced)}


def _whisper(settings: Mapping[str, Any], _replaced: Collection[str]) -> dict[str, Any]:
    return {
        "mel": {
            "bands": int(settings["feature_size"]),
            "fft": int(settings["n_fft"]),
            "hop": int(settings["hop_length"]),
            "high_hz": 8000.0,
        },
        "normalize": bool(settings.get("do_normalize", False)),
    }


def _samples(settings: Mapping[str, Any], replaced: Collection[str]) -> dict[str, Any]:
    if int(settings.get("feature_size", 1)) != 1:
        why = "samples of one channel are known"
        refuse_step("feature_size", why, replaced=replaced, field="mel")
    return {"normalize": bool(settings.get("do_normalize", True))}


_KALDI = ("ASTFeatureExtractor", "SeamlessM4TFeatureExtractor", "Speech2TextFeatureExtractor")
"""Extractors that do as torchaudio.compliance.kaldi.fbank."""

_READERS: dict[str, Callable[[Mapping[str, Any], Collection[str]], dict[str, Any]]] = {
    "WhisperFeatureExtractor": _whisper,
    "Wav2Vec2FeatureExtractor": _samples,
}

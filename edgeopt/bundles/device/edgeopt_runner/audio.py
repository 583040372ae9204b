"""A sound as a model's input: one channel, resampled, as samples or as mel bands."""

from __future__ import annotations

import wave
from math import ceil, gcd
from typing import Any

import numpy as np

from .bundle import USAGE, Stop, open_plain
from .mel import log_mel

__all__ = ["framed", "prepare_audio", "read_audio", "read_wave", "resample"]

MAX_SAMPLES = 1 << 28  # 93 minutes at 48 kHz
_ZEROS, _ROLLOFF = 6, 0.99  # of the filter, as torchaudio has them


def read_audio(path: str, manifest: dict[str, Any]) -> tuple[str, Any]:
    """Returns the input's name, and its values: one call, or one for each frame on a new first axis."""
    spec = manifest.get("preprocess")
    if not spec or spec.get("kind") != "audio":
        wrong = "this bundle does not say how a sound is prepared"
        raise Stop(USAGE, wrong, "prepare it yourself and pass a .npy file with --input")
    samples, rate = read_wave(path)
    shape = next(s["shape"] for s in manifest["signature"]["inputs"] if s["name"] == spec["input"])
    return spec["input"], prepare_audio(samples, rate, spec, shape)


def read_wave(path: str) -> tuple[Any, int]:
    """Returns the samples of a .wav file, (channels, samples) float32 from -1 to 1, and their rate."""
    try:
        with open_plain(path, follow=True) as stream, wave.open(stream) as sound:
            count, rate = sound.getnframes(), sound.getframerate()
            channels, width = sound.getnchannels(), sound.getsampwidth()
            if count * channels > MAX_SAMPLES:
                raise ValueError(f"{count} samples; at most {MAX_SAMPLES // channels}")
            raw = sound.readframes(count)
    except (OSError, EOFError, ValueError, wave.Error) as error:
        hint = "convert it: ffmpeg -i SOUND -c:a pcm_s16le sound.wav"
        raise Stop(USAGE, f"{path}: not a .wav file of whole numbers: {error}", hint) from error
    if not raw or not rate:
        raise Stop(USAGE, f"{path}: the sound is empty")
    values = _whole(raw[: len(raw) // (channels * width) * channels * width], width)
    return values.reshape(-1, channels).T.astype(np.float32), rate


def _whole(raw: bytes, width: int) -> Any:
    """Returns samples of 1 to 4 bytes as numbers from -1 to 1; those of one byte have no sign."""
    if width == 1:
        return (np.frombuffer(raw, np.uint8).astype(np.float64) - 128) / 128
    if width == 3:  # noqa: PLR2004 (bytes that numpy has no type for)
        parts = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        wide = np.zeros((len(parts), 4), np.uint8)
        wide[:, 1:] = parts
        return wide.view("<i4")[:, 0] / 2.0**31
    return np.frombuffer(raw, f"<i{width}") / 2.0 ** (8 * width - 1)


def resample(samples: Any, old: int, new: int) -> Any:
    """Returns (channels, samples) at another rate: a sinc with a Hann window of six zeros.

    The same filter as `torchaudio.functional.resample` (Smith, "Digital Audio Resampling").
    """
    common = gcd(old, new)
    old, new = old // common, new // common
    if old == new:
        return samples
    base = min(old, new) * _ROLLOFF
    width = ceil(_ZEROS * old / base)
    places = np.arange(-width, width + old)[None, :] / old - np.arange(new)[:, None] / new
    places = np.clip(places * base, -_ZEROS, _ZEROS)
    window = np.cos(places * np.pi / _ZEROS / 2) ** 2
    kernel = (np.sinc(places) * window * (base / old)).astype(np.float32)
    length = samples.shape[1]
    padded = np.pad(samples, ((0, 0), (width, width + old)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[1], 1)[:, ::old]
    steps = frames @ kernel.T
    return steps.reshape(len(samples), -1)[:, : ceil(new * length / old)]


def prepare_audio(samples: Any, rate: int, spec: dict[str, Any], shape: list[int]) -> Any:
    """Returns the input, in ``shape``; with frames, one after the other on a new first axis.

    Args:
        samples: (channels, samples) float32.
        rate: Samples a second.
        spec: The manifest's ``preprocess``.
        shape: Of the input.
    """
    samples = samples.mean(0, keepdims=True) if spec["mono"] else samples
    samples = resample(samples.astype(np.float32), rate, spec["sample_rate"])
    if spec["normalize"]:
        mean, variance = samples.mean(-1, keepdims=True), samples.var(-1, keepdims=True)
        samples = (samples - mean) / np.sqrt(variance + 1e-7)
    if spec["frame"]:
        return framed(samples, spec, shape)
    if spec["mel"]:
        return log_mel(samples[0], spec["sample_rate"], spec["mel"], shape)
    return _fitted(samples, shape[-1]).reshape(shape).astype(np.float32)


def framed(samples: Any, spec: dict[str, Any], shape: list[int]) -> Any:
    """Returns (frames, *shape): each frame's samples, or bands; the last one filled with silence."""
    size, hop = spec["frame"], spec["hop"] or spec["frame"]
    count = max(ceil((samples.shape[1] - size) / hop), 0) + 1
    samples = _fitted(samples, (count - 1) * hop + size)
    frames = [samples[:, n * hop : n * hop + size] for n in range(count)]
    if spec["mel"]:
        return np.stack([log_mel(f[0], spec["sample_rate"], spec["mel"], shape) for f in frames])
    return np.stack([frame.reshape(shape) for frame in frames]).astype(np.float32)


def _fitted(samples: Any, length: int) -> Any:
    """Returns ``length`` samples: cut off, or silence behind."""
    return np.pad(samples[:, :length], ((0, 0), (0, max(length - samples.shape[1], 0))))

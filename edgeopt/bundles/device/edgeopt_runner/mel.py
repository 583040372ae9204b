"""Energies of mel bands, in a logarithmic scale."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["log_mel", "mel_filters"]


def log_mel(samples: Any, rate: int, spec: dict[str, Any], shape: list[int]) -> Any:
    """Returns the mel bands of a sound in ``shape``; it is cut, or silence is put behind, to fit.

    Args:
        samples: (samples,) float32.
        rate: Samples a second.
        spec: ``mel`` of the manifest's ``preprocess``.
        shape: Of the input; its last two axes are bands and frames, or frames and bands.
    """
    first = spec["layout"] == "bands-frames"
    frames = shape[-1] if first else shape[-2]
    samples = _fitted(samples.astype(np.float64), _needed(frames, spec), spec)
    energies = _spectra(samples, spec)[: frames if spec["drop_last"] else None]
    filters = mel_filters(rate, spec)
    values = _logarithm(np.maximum(energies @ filters, spec["floor"]), spec)
    values = (values + spec["offset"]) / spec["divisor"]
    return (values.T if first else values).reshape(shape).astype(np.float32)


def _needed(frames: int, spec: dict[str, Any]) -> int:
    """Returns how many samples make so many frames."""
    windows = frames + int(spec["drop_last"])
    overhang = 0 if spec["center"] else int(spec["fft"])
    return (windows - 1) * int(spec["hop"]) + overhang


def _fitted(samples: Any, length: int, spec: dict[str, Any]) -> Any:
    samples = np.pad(samples[:length], (0, max(length - len(samples), 0)))
    half = spec["fft"] // 2
    return np.pad(samples, half, mode="reflect") if spec["center"] else samples


def _spectra(samples: Any, spec: dict[str, Any]) -> Any:
    """Returns (windows, frequencies): powers of short-time Fourier transforms, Hann windows."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec["fft"]) / spec["fft"])
    frames = np.lib.stride_tricks.sliding_window_view(samples, spec["fft"])[:: spec["hop"]]
    return np.abs(np.fft.rfft(frames * window)) ** spec["power"]


def _logarithm(values: Any, spec: dict[str, Any]) -> Any:
    values = np.log(values) if spec["log"] == "ln" else np.log10(values)
    values = values * 10 if spec["log"] == "db" else values
    if spec["dynamic_range"]:
        values = np.maximum(values, values.max() - spec["dynamic_range"])
    return values


def mel_filters(rate: int, spec: dict[str, Any]) -> Any:
    """Returns (frequencies, bands): triangles between points that are even on the mel scale."""
    high = spec["high_hz"] or rate / 2
    low, top = _to_mel(np.array([spec["low_hz"], high]), spec["scale"])
    points = _from_mel(np.linspace(low, top, spec["bands"] + 2), spec["scale"])
    frequencies = np.linspace(0, rate / 2, spec["fft"] // 2 + 1)
    widths, slopes = np.diff(points), points[None, :] - frequencies[:, None]
    rising, falling = -slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]
    filters = np.maximum(0, np.minimum(rising, falling))
    if spec["norm"] == "slaney":
        filters = filters * (2.0 / (points[2:] - points[:-2]))
    return filters


_LINEAR, _STEP = 200.0 / 3, np.log(6.4) / 27  # Slaney: Hz of a mel, and the step of its logarithm
_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0  # linear below, logarithmic above


def _to_mel(hertz: Any, scale: str) -> Any:
    if scale == "htk":
        return 2595 * np.log10(1 + hertz / 700)
    above = _BREAK_MEL + np.log(np.maximum(hertz, _BREAK_HZ) / _BREAK_HZ) / _STEP
    return np.where(hertz < _BREAK_HZ, hertz / _LINEAR, above)


def _from_mel(mels: Any, scale: str) -> Any:
    if scale == "htk":
        return 700 * (10 ** (mels / 2595) - 1)
    above = _BREAK_HZ * np.exp(_STEP * (np.maximum(mels, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mels < _BREAK_MEL, mels * _LINEAR, above)

"""Speech to tokens: Whisper's encoder and its decoder, step by step with a cache, as two methods of one bundle.

    python examples/10_whisper.py [folder] [--target rpi4] [--precision int8-dynamic] [--quick]

The decoder writes a token at a time. What it has computed for the tokens before, and what the encoder made of the
sound, it reads again at every step: that is state, which the bundle's runner keeps. `encode` writes the keys and
values of the sound, `step` reads them, and writes a row of its own keys and values. Both hold Whisper's weights.

The network is `WhisperConfig`'s tiny one (39 million weights), seeded: its weights lie on a hub, which examples do
not ask. So what it says means nothing; that it says the same as transformers' own model is what is looked at.
`--quick` takes two layers and a tenth of the sound.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import WhisperConfig, WhisperForConditionalGeneration

import edgeopt

STEPS = 100


class Encode(nn.Module):
    """Whisper's encoder, and the keys and values that each layer of the decoder makes of its output."""

    def __init__(self, whisper: WhisperForConditionalGeneration) -> None:
        super().__init__()
        self.encoder = whisper.model.encoder
        layers = whisper.model.decoder.layers
        self.keys = nn.ModuleList([layer.encoder_attn.k_proj for layer in layers])
        self.values = nn.ModuleList([layer.encoder_attn.v_proj for layer in layers])
        self.heads = whisper.config.decoder_attention_heads

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns keys and values, (layers, heads, frames, size of a head), and where the text begins.

        Args:
            features: Log-mel spectrogram, (1, 80, 2 * frames).
        """
        sound = self.encoder(features).last_hidden_state
        return {
            "sound_keys": torch.stack([split(layer(sound), self.heads)[0] for layer in self.keys]),
            "sound_values": torch.stack(
                [split(layer(sound), self.heads)[0] for layer in self.values]
            ),
            "position": torch.zeros(1, dtype=torch.int64),
        }


class Step(nn.Module):
    """One step of Whisper's decoder."""

    def __init__(self, whisper: WhisperForConditionalGeneration, length: int) -> None:
        super().__init__()
        self.decoder = whisper.model.decoder
        self.vocabulary = whisper.proj_out
        self.heads = whisper.config.decoder_attention_heads
        self.length = length

    def forward(
        self,
        token: torch.Tensor,
        position: torch.Tensor,
        sound_keys: torch.Tensor,
        sound_values: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Returns a score for each word of the vocabulary, (1, words), and what the next step reads.

        Args:
            token: The token before, (1, 1).
            position: How many came before it, (1,).
            sound_keys: Of the encoder, (layers, heads, frames, size).
            sound_values: Likewise.
            keys: Of the tokens before, (layers, heads, length, size); zeros where none is yet.
            values: Likewise.
        """
        decoder = self.decoder
        places = torch.arange(self.length)
        is_here = (places == position).reshape(1, -1, 1)
        mask = torch.where(places <= position, 0.0, -1e9).reshape(1, 1, -1)
        hidden = decoder.embed_tokens(token) + decoder.embed_positions.weight[position].unsqueeze(0)
        all_keys, all_values = [], []
        for place, layer in enumerate(decoder.layers):
            own, others = layer.self_attn, layer.encoder_attn
            normed = layer.self_attn_layer_norm(hidden)
            key = torch.where(is_here, split(own.k_proj(normed), self.heads)[0], keys[place])
            value = torch.where(is_here, split(own.v_proj(normed), self.heads)[0], values[place])
            hidden = hidden + own.out_proj(attend(own.q_proj(normed), key, value, self.heads, mask))
            query = others.q_proj(layer.encoder_attn_layer_norm(hidden))
            heard = attend(query, sound_keys[place], sound_values[place], self.heads, None)
            hidden = hidden + others.out_proj(heard)
            inner = layer.activation_fn(layer.fc1(layer.final_layer_norm(hidden)))
            hidden = hidden + layer.fc2(inner)
            all_keys.append(key)
            all_values.append(value)
        logits = self.vocabulary(decoder.layer_norm(hidden))[:, 0]
        return {
            "logits": logits,
            "position": position + 1,
            "keys": torch.stack(all_keys),
            "values": torch.stack(all_values),
        }


def split(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """Returns (1, rows, heads * size) as (1, heads, rows, size)."""
    return rows.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    heads: int,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """Returns what one row looks up in keys and values of (heads, rows, size): (1, 1, heads * size)."""
    queries = split(query, heads)[0]
    scores = queries @ keys.transpose(1, 2) * queries.shape[-1] ** -0.5
    weights = torch.softmax(scores if mask is None else scores + mask, -1)
    return (weights @ values).transpose(0, 1).flatten(1).unsqueeze(0)


def network(*, quick: bool) -> WhisperForConditionalGeneration:
    """Returns Whisper tiny, seeded; a smaller one for ``quick``."""
    torch.manual_seed(0)
    small = {
        "encoder_layers": 2,
        "decoder_layers": 2,
        "max_source_positions": 150,
        "vocab_size": 2000,
    }
    names = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")
    small |= dict.fromkeys(names, 0)
    config = WhisperConfig(**(small if quick else {}), attn_implementation="eager")
    return WhisperForConditionalGeneration(config).eval()


def methods(whisper: WhisperForConditionalGeneration, length: int) -> dict[str, edgeopt.Method]:
    """Returns what is deployed."""
    config = whisper.config
    size = config.d_model // config.decoder_attention_heads
    layers, heads = config.decoder_layers, config.decoder_attention_heads
    sound = torch.zeros(layers, heads, config.max_source_positions, size)
    text = torch.zeros(layers, heads, length, size)
    features = torch.zeros(1, config.num_mel_bins, 2 * config.max_source_positions)
    token, position = torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)
    heard = ("sound_keys", "sound_values", "position")
    read = (*heard, "keys", "values")
    written = ("position", "keys", "values")
    return {
        "encode": edgeopt.Method(Encode(whisper).eval(), features, writes={n: n for n in heard}),
        "step": edgeopt.Method(
            Step(whisper, length).eval(),
            (token, position, sound, sound, text, text),
            reads={n: n for n in read},
            writes={n: n for n in written},
        ),
    }


def session(
    whisper: WhisperForConditionalGeneration, seed: int, steps: int
) -> list[tuple[str, torch.Tensor]]:
    """Returns calls: one of the encoder, then a token at a time."""
    generator = torch.Generator().manual_seed(seed)
    config = whisper.config
    shape = (1, config.num_mel_bins, 2 * config.max_source_positions)
    tokens = torch.randint(0, config.vocab_size, (steps, 1, 1), generator=generator)
    features = torch.randn(shape, generator=generator)
    return [("encode", features), *(("step", token) for token in tokens)]


def main(folder: Path, target: str, precision: str, *, quick: bool) -> None:
    """Deploys, and speaks."""
    whisper = network(quick=quick)
    steps = 20 if quick else STEPS
    started = time.perf_counter()
    deployment = edgeopt.deploy(
        methods(whisper, length=128),
        target,
        precision=precision,
        calibration_data=[session(whisper, seed, steps) for seed in range(2)],
        checks={"samples": 4, "speed": False},
        bundle={"name": "whisper-tiny", "overwrite": True},
        output=folder / target,
    )
    print(deployment)
    print(f"{time.perf_counter() - started:.0f} s")
    speak(whisper, deployment, steps)


def speak(
    whisper: WhisperForConditionalGeneration, deployment: edgeopt.Deployment, steps: int
) -> None:
    """Prints how near the bundle's scores are to those of transformers' own model, and what a step takes."""
    (_, features), *calls = session(whisper, 7, steps)
    tokens = torch.cat([token for _, token in calls], 1)
    with torch.no_grad():
        expected = whisper(input_features=features, decoder_input_ids=tokens).logits[0].numpy()
    runner = edgeopt.load(deployment.bundle)
    started = time.perf_counter()
    runner.method("encode")(features.numpy())
    encoded = time.perf_counter()
    logits = np.concatenate([runner.method("step")(token.numpy()) for _, token in calls])
    finished = time.perf_counter()
    error = float(((logits - expected) ** 2).sum() / (expected**2).sum())
    same = float((logits.argmax(-1) == expected.argmax(-1)).mean())
    print(
        f"{steps} steps beside transformers: error {-10 * np.log10(error):.1f} dB below the signal"
    )
    print(f"the same token in {100 * same:.1f} % of the steps")
    print(
        f"encoder {1000 * (encoded - started):.0f} ms, {1000 * (finished - encoded) / steps:.1f} ms a step"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("out/whisper"))
    parser.add_argument("--target", default="host")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    main(options.folder, options.target, options.precision, quick=options.quick)

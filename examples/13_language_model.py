"""A decoder-only language model: the prompt in one call, then a token at a time, with a cache that the bundle keeps.

    python examples/13_language_model.py [folder] [--target host] [--backend auto] [--quick]

`prefill` reads a prompt and writes the keys and values of all its tokens; `step` reads them, writes a row of its own,
and scores the next token. Keys, values and the position are state: the bundle's runner keeps them, the program that
uses it passes a token and gets scores. Both methods hold the same weights, which lie in the bundle once.

The network is transformers' Llama (rotary positions, grouped heads, RMS norms), small and seeded: what it says means
nothing, that it says the same as transformers' own greedy decoding is what is looked at. It is deployed in float32 and
with int8 weights. `prefill` takes as many tokens as the cache has rows, so it is also what a step costs without a cache.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

import edgeopt

STEPS = 100
ROWS = 128
PROMPT = 12


class Cached(nn.Module):
    """What both methods share: the layers, one after the other, and the scores of the next token."""

    def __init__(self, llama: LlamaForCausalLM, rows: int) -> None:
        super().__init__()
        self.llama = llama
        self.heads, self.groups = llama.config.num_attention_heads, llama.config.num_key_value_heads
        places = torch.arange(rows)
        cosines, sines = llama.model.rotary_emb(torch.zeros(1), places.unsqueeze(0))
        self.register_buffer("places", places)
        self.register_buffer("cosines", cosines[0])
        self.register_buffer("sines", sines[0])

    def rotated(self, rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Returns queries or keys, (heads, rows, size), turned by their places."""
        half = rows.shape[-1] // 2
        turned = torch.cat([-rows[..., half:], rows[..., :half]], -1)
        return rows * self.cosines[places] + turned * self.sines[places]

    def layer(
        self, place: int, hidden: torch.Tensor, places: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns queries, keys and values of a layer, (heads, rows, size) each; hidden is (rows, width)."""
        layer = self.llama.model.layers[place]
        normed, own = layer.input_layernorm(hidden), layer.self_attn
        queries, keys, values = (
            part(normed).unflatten(-1, (count, -1)).transpose(0, 1)
            for part, count in (
                (own.q_proj, self.heads), (own.k_proj, self.groups), (own.v_proj, self.groups),
            )
        )  # fmt: skip
        return self.rotated(queries, places), self.rotated(keys, places), values

    def attended(
        self,
        place: int,
        hidden: torch.Tensor,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: torch.Tensor,
    ) -> torch.Tensor:
        """Returns what a layer makes of (rows, width), where each query sees the keys that the mask leaves."""
        layer, times = self.llama.model.layers[place], self.heads // self.groups
        keys, values = keys.repeat_interleave(times, 0), values.repeat_interleave(times, 0)
        scores = queries @ keys.transpose(1, 2) * queries.shape[-1] ** -0.5 + mask
        seen = (scores.softmax(-1) @ values).transpose(0, 1).flatten(1)
        hidden = hidden + layer.self_attn.o_proj(seen)
        return hidden + layer.mlp(layer.post_attention_layernorm(hidden))

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Returns the scores of the next token."""
        return self.llama.lm_head(self.llama.model.norm(hidden))


class Prefill(Cached):
    """Reads a prompt."""

    def forward(self, tokens: torch.Tensor, count: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns scores of the token after the prompt, (1, words), and what the first step reads.

        Args:
            tokens: The prompt, (1, rows), filled up with any token.
            count: How many tokens it has, (1,). Rows behind it are written over before they are looked at.
        """
        mask = torch.where(self.places <= self.places.unsqueeze(1), 0.0, -1e9)
        hidden = self.llama.model.embed_tokens(tokens)[0]
        all_keys, all_values = [], []
        for place in range(len(self.llama.model.layers)):
            queries, keys, values = self.layer(place, hidden, self.places)
            hidden = self.attended(place, hidden, queries, keys, values, mask)
            all_keys.append(keys)
            all_values.append(values)
        return {
            "logits": self.logits(hidden[count - 1]),
            "position": count + 0,
            "keys": torch.stack(all_keys),
            "values": torch.stack(all_values),
        }


class Step(Cached):
    """Reads one token."""

    def forward(
        self,
        token: torch.Tensor,
        position: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Returns scores of the next token, (1, words), and what the next step reads.

        Args:
            token: The token before, (1, 1).
            position: How many came before it, (1,).
            keys: Of the tokens before, (layers, groups, rows, size).
            values: Likewise.
        """
        is_here = (self.places == position).reshape(1, -1, 1)
        mask = torch.where(self.places <= position, 0.0, -1e9)
        hidden = self.llama.model.embed_tokens(token)[0]
        all_keys, all_values = [], []
        for place in range(len(self.llama.model.layers)):
            query, key, value = self.layer(place, hidden, position)
            key = torch.where(is_here, key, keys[place])
            value = torch.where(is_here, value, values[place])
            hidden = self.attended(place, hidden, query, key, value, mask)
            all_keys.append(key)
            all_values.append(value)
        return {
            "logits": self.logits(hidden),
            "position": position + 1,
            "keys": torch.stack(all_keys),
            "values": torch.stack(all_values),
        }


def network(*, quick: bool) -> LlamaForCausalLM:
    """Returns a small Llama, seeded; a smaller one for ``quick``."""
    torch.manual_seed(0)
    width, layers, words = (64, 2, 500) if quick else (256, 6, 8000)
    config = LlamaConfig(
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=4,
        vocab_size=words,
        initializer_range=0.2,  # else all tokens are as likely, and greedy decoding says one for ever
        attn_implementation="eager",
    )
    return LlamaForCausalLM(config).eval()


def methods(llama: LlamaForCausalLM, rows: int) -> dict[str, edgeopt.Method]:
    """Returns what is deployed."""
    config = llama.config
    size = config.hidden_size // config.num_attention_heads
    cache = torch.zeros(config.num_hidden_layers, config.num_key_value_heads, rows, size)
    tokens, one = torch.zeros(1, rows, dtype=torch.int64), torch.ones(1, dtype=torch.int64)
    names = ("position", "keys", "values")
    links = {name: name for name in names}
    return {
        "prefill": edgeopt.Method(Prefill(llama, rows).eval(), (tokens, one), writes=links),
        "step": edgeopt.Method(
            Step(llama, rows).eval(), (tokens[:, :1], one - 1, cache, cache), reads=links, writes=links
        ),
    }  # fmt: skip


def padded(prompt: torch.Tensor, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns a prompt as `prefill` takes it."""
    count = prompt.shape[1]
    return nn.functional.pad(prompt, (0, rows - count)), torch.tensor([count])


def session(llama: LlamaForCausalLM, seed: int, steps: int) -> list[tuple[str, object]]:
    """Returns calls: a prompt of random tokens, then those that the model itself goes on with."""
    generator = torch.Generator().manual_seed(seed)
    prompt = torch.randint(1, llama.config.vocab_size, (1, PROMPT), generator=generator)
    text = greedy(llama, prompt, steps)
    steps_calls = [("step", text[:, at : at + 1]) for at in range(PROMPT, PROMPT + steps)]
    return [("prefill", padded(prompt, ROWS)), *steps_calls]


def greedy(llama: LlamaForCausalLM, prompt: torch.Tensor, steps: int) -> torch.Tensor:
    """Returns the prompt and what transformers' own greedy decoding says after it."""
    options = {"max_new_tokens": steps, "min_new_tokens": steps, "do_sample": False}
    return llama.generate(prompt, attention_mask=torch.ones_like(prompt), pad_token_id=0, **options)


def main(folder: Path, target: str, backend: str, *, quick: bool) -> None:
    """Deploys in both precisions, and speaks."""
    llama = network(quick=quick)
    sessions = [session(llama, seed, STEPS) for seed in range(1 if quick else 2)]
    for precision in ("float32", "int8-dynamic"):
        deployment = edgeopt.deploy(
            methods(llama, ROWS),
            target,
            backend=backend,
            precision=precision,
            calibration_data=sessions,
            checks={"samples": 4, "speed": False},
            bundle={"name": "language-model", "overwrite": True},
            output=folder / precision,
        )
        print(deployment)
        speak(llama, deployment)


def speak(llama: LlamaForCausalLM, deployment: edgeopt.Deployment) -> None:
    """Prints how the bundle goes on with a prompt beside transformers, and what a step takes."""
    generator = torch.Generator().manual_seed(7)
    prompt = torch.randint(1, llama.config.vocab_size, (1, PROMPT), generator=generator)
    text = greedy(llama, prompt, STEPS)
    with torch.no_grad():
        expected = llama(text[:, :-1]).logits[0, PROMPT - 1 :].numpy()
    runner = edgeopt.load(deployment.bundle)
    precision = deployment.precision
    logits, filled_ms, step_ms = scored(runner, text)
    error = float(((logits - expected) ** 2).sum() / (expected**2).sum())
    hits = 100 * float((logits.argmax(-1) == expected.argmax(-1)).mean())
    alike = np.array(written(runner, prompt)) == text[0, PROMPT:].numpy()
    same = STEPS if alike.all() else int(alike.argmin())
    print(
        f"{precision}: {STEPS} steps beside transformers: error {-10 * np.log10(error):.1f} dB below the signal"
    )
    print(f"{precision}: the same next token in {hits:.1f} % of the steps")
    print(f"{precision}: greedy decoding says the same for {same} of {STEPS} tokens")
    print(f"{precision}: {step_ms:.2f} ms a step, {filled_ms:.1f} ms for all {ROWS} rows again")


def scored(runner: edgeopt.Runner, text: torch.Tensor) -> tuple[np.ndarray, float, float]:
    """Returns the scores at each token of a text, (steps, words), and the milliseconds of prompt and step."""
    prefill, step = runner.method("prefill"), runner.method("step")
    arrays = [tensor.numpy() for tensor in padded(text[:, :PROMPT], ROWS)]
    prefill(*arrays)  # loads it
    step(text[:, :1].numpy())
    started = time.perf_counter()
    first = prefill(*arrays)
    filled = time.perf_counter()
    rest = [step(text[:, at : at + 1].numpy()) for at in range(PROMPT, PROMPT + STEPS - 1)]
    finished = time.perf_counter()
    step_ms = 1000 * (finished - filled) / len(rest)
    return np.concatenate([first, *rest]), 1000 * (filled - started), step_ms


def written(runner: edgeopt.Runner, prompt: torch.Tensor) -> list[int]:
    """Returns what the bundle goes on with, each token the one with the largest score."""
    runner.reset()
    scores = runner.method("prefill")(*(tensor.numpy() for tensor in padded(prompt, ROWS)))
    tokens = [int(scores.argmax())]
    while len(tokens) < STEPS:
        tokens.append(int(runner.method("step")(np.array([[tokens[-1]]])).argmax()))
    return tokens


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("out/language_model"))
    parser.add_argument("--target", default="host")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    main(options.folder, options.target, options.backend, quick=options.quick)

"""A text as token ids, a mask and type ids, by the bundle's ``tokenizer.json``."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from .bundle import MISSING, WRONG, Stop, open_plain

__all__ = ["Tokens", "make_tokenizer", "read_tokenizer"]

_MAX_BYTES = 64 << 20


def read_tokenizer(root: str, spec: dict[str, Any]) -> Any:
    """Returns the tokenizer of the bundle in folder ``root``."""
    try:
        with open_plain(os.path.join(root, *spec["tokenizer"].split("/"))) as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        what = f"{spec['tokenizer']}: missing or not readable: {error}"
        raise Stop(WRONG, what, "copy the bundle again") from error
    return make_tokenizer(content)


def make_tokenizer(content: bytes) -> Any:
    """Returns the tokenizer of a ``tokenizer.json``, without padding and truncation of its own."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        hint = "python3 -m pip install tokenizers"
        raise Stop(MISSING, "reading a text needs the library tokenizers", hint) from error
    try:
        tokenizer = Tokenizer.from_str(content.decode("utf-8"))
    except Exception as error:  # the library raises plain Exception
        hint = "copy the bundle again, or update tokenizers"
        raise Stop(WRONG, f"tokenizer.json: not a tokenizer: {error}", hint) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


class Tokens:
    """Makes inputs of texts.

    Args:
        tokenizer: Of the library tokenizers.
        spec: The manifest's ``preprocess``.
        programs: The inputs of each program; a text is filled up to the shortest that it fits into.

    Attributes:
        spec: The manifest's ``preprocess``.
    """

    def __init__(
        self, tokenizer: Any, spec: dict[str, Any], programs: list[list[dict[str, Any]]]
    ) -> None:
        self.spec = spec
        self._specs = {one["name"]: one for one in programs[0]}
        sizes = [one["shape"][-1] for row in programs for one in row if one["name"] == spec["ids"]]
        self._lengths: list[int] = sorted(set(sizes))
        self._tokenizer = tokenizer
        self._most = min(spec["max_length"] or self._lengths[-1], self._lengths[-1])

    def length(self, text: str) -> int:
        """Returns the length that a text is filled up to, or cut to."""
        self._tokenizer.no_truncation()
        text = self.spec["prefix"] + text
        encoding = self._tokenizer.encode(text, add_special_tokens=self.spec["special"])
        count = min(len(encoding.ids), self._most)
        lengths: list[int] = [length for length in self._lengths if length >= count]
        return lengths[0]

    def __call__(self, text: str, length: int | None = None) -> dict[str, Any]:
        """Returns name of an input to (1, tokens), and says where a text is too long.

        Args:
            text: The text.
            length: Of a program; the shortest that the text fits into where None.
        """
        length = self.length(text) if length is None else length
        text = self.spec["prefix"] + text
        self._tokenizer.no_truncation()
        encoding = self._tokenizer.encode(text, add_special_tokens=self.spec["special"])
        if len(encoding.ids) > self._most:
            print(
                f"the text has {len(encoding.ids)} tokens, {self._most} are taken", file=sys.stderr
            )
            self._tokenizer.enable_truncation(self._most)
            encoding = self._tokenizer.encode(text, add_special_tokens=self.spec["special"])
        self._check(encoding.ids)
        rows = {
            self.spec["ids"]: (encoding.ids, self.spec["pad_id"]),
            self.spec["mask"]: (encoding.attention_mask, 0),
            self.spec["types"]: (encoding.type_ids, self.spec["pad_type"]),
        }
        return {name: self._filled(name, length, *row) for name, row in rows.items() if name}

    def _check(self, ids: list[int]) -> None:
        known = self.spec["vocabulary"]
        if known and max(ids, default=0) >= known:
            wrong = f"token {max(ids)}, but the model knows {known} tokens"
            raise Stop(WRONG, wrong, "the tokenizer is of another model: make the bundle again")

    def _filled(self, name: str, length: int, values: list[int], fill: int) -> Any:
        spec = self._specs[name]
        row = np.full((1, length), fill, np.dtype(spec["dtype"]))
        start = length - len(values) if self.spec["padding"] == "left" else 0
        row[0, start : start + len(values)] = values
        return row

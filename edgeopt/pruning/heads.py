"""Attention by its parts: which linear layers hold the heads, and which attribute counts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Attention", "find_attentions", "remove_heads"]

_COUNTS = ("num_attention_heads", "num_heads", "n_heads", "heads")
_WIDTHS = ("all_head_size", "inner_dim")
_PROJECTIONS = (
    ("q_proj", "k_proj", "v_proj"),
    ("query", "key", "value"),
    ("q_lin", "k_lin", "v_lin"),
    ("to_q", "to_k", "to_v"),
)


@dataclass(frozen=True, eq=False)
class Attention:
    """One attention module with separate projections.

    Attributes:
        module: The module that owns the projections.
        name: Its name.
        projections: Query, key and value.
        count: The attribute that holds the number of heads.
    """

    module: nn.Module
    name: str
    projections: tuple[nn.Linear, ...]
    count: str

    @property
    def heads(self) -> int:
        """How many heads there are."""
        return int(getattr(self.module, self.count))


def find_attentions(model: nn.Module) -> list[Attention]:
    """Returns every attention whose query, key and value have the same number of heads."""
    candidates = (_read(name, module) for name, module in model.named_modules())
    return [one for one in candidates if one is not None]


def _read(name: str, module: nn.Module) -> Attention | None:
    from torch import nn  # noqa: PLC0415

    count = next((c for c in _COUNTS if isinstance(getattr(module, c, None), int)), None)
    for names in _PROJECTIONS:
        parts = tuple(getattr(module, part, None) for part in names)
        if count is None or not all(isinstance(part, nn.Linear) for part in parts):
            continue
        widths = {part.out_features for part in parts if isinstance(part, nn.Linear)}
        if len(widths) == 1 and widths.pop() % int(getattr(module, count)) == 0:
            return Attention(module, name, parts, count)  # type: ignore[arg-type]
    return None


def remove_heads(attention: Attention, output: nn.Linear, gone: list[int]) -> None:
    """Takes the heads ``gone`` out of the projections, of ``output``, and of a
    table of relative positions inside the attention.
    """
    import torch_pruning as tp  # noqa: PLC0415

    heads = attention.heads
    size = attention.projections[0].out_features // heads
    rows = [h * size + i for h in gone for i in range(size)]
    for part in attention.projections:
        tp.prune_linear_out_channels(part, rows)
    tp.prune_linear_in_channels(output, rows)
    survivors = [h for h in range(heads) if h not in set(gone)]
    _cut_tables(attention.module, heads, survivors)
    setattr(attention.module, attention.count, len(survivors))
    for width in _WIDTHS:
        if getattr(attention.module, width, None) == heads * size:
            setattr(attention.module, width, len(survivors) * size)


def _cut_tables(module: nn.Module, heads: int, kept: list[int]) -> None:
    from torch import nn  # noqa: PLC0415

    for owner in module.modules():
        table: Any = owner._parameters.get("relative_position_bias_table")  # noqa: SLF001
        if table is not None and table.shape[-1] == heads:
            owner.relative_position_bias_table = nn.Parameter(table.detach()[..., kept].clone())
            if isinstance(getattr(owner, "num_heads", None), int):
                owner.num_heads = len(kept)  # type: ignore[assignment]

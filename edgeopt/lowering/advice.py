"""What to write in place of an operator that a runtime does not have."""

from __future__ import annotations

__all__ = ["advice"]

_INSTEAD = (
    (
        ("linalg_", "_linalg", "cholesky", "svd", "qr.", "lu_", "triangular_", "inverse.", "det."),
        "no runtime solves equations: compute it once and keep the result as a buffer, or pass it in",
    ),
    (
        ("nms", "roi_", "ps_roi", "deform_conv"),
        "give back boxes and scores, and choose among them after the model",
    ),
    (
        ("special_", "lgamma", "digamma", "polygamma", "igamma", "i0.", "erfinv"),
        "write it as a polynomial of what the model's values can be, or look it up in a table with torch.embedding",
    ),
    (
        ("bitwise_", "__lshift__", "__rshift__", "gcd", "lcm"),
        "write it with products, // and %, or do it before the model",
    ),
    (
        ("_ctc_loss", "nll_loss", "multilabel_margin_loss"),
        "a loss is for training: leave it out of what is deployed",
    ),
    (
        ("grouped_mm", "_grouped_mm"),
        'how many tokens an expert gets is not known: load it with experts_implementation="batched_mm" (transformers)',
    ),
    (("bincount",), "write torch.nn.functional.one_hot(x, count).sum(0)"),
    (("histc",), "write ((x[:, None] >= edges[:-1]) & (x[:, None] < edges[1:])).sum(0)"),
    (("mode.", "nanmedian"), "write x.sort(dim), which gives all numbers in order"),
    (
        ("masked_scatter",),
        "write torch.where for what is aligned, and indices for what is not",
    ),
)
"""Beginnings of operators' names, and what to do."""


def advice(operator: str, reason: str) -> str:
    """Returns what a user may do about an operator that does not run.

    Args:
        operator: Its name, such as ``aten.linalg_inv.default``.
        reason: Why it does not run.
    """
    if "float64" in reason:
        return "cast it with .float() in the model"
    if "type" in reason:
        return "cast it in the model: .float() for real numbers, .long() for whole ones"
    name = operator.partition(".")[2]
    for beginnings, instead in _INSTEAD:
        if name.startswith(beginnings):
            return instead
    return "write it with operators of docs/ir.md, choose another backend, or compute it outside the model"

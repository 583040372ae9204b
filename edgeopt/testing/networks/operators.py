"""What random networks are made of. Each function draws one step on the values there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.testing.networks.network import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    import torch

__all__ = ["OPERATORS", "Draw"]

UNARY = (
    *("{0}.relu()", "F.relu6({0})", "F.leaky_relu({0}, 0.1)", "F.gelu({0})", "F.silu({0})"),
    *("F.gelu({0}, approximate='tanh')", "F.hardswish({0})", "F.hardsigmoid({0})", "F.mish({0})"),
    *("{0}.sigmoid()", "{0}.tanh()", "F.elu({0})", "F.softplus({0})", "{0}.abs()", "-{0}"),
    *("({0}.abs() + 0.1).sqrt()", "{0}.clamp(-3, 3).exp()", "{0}.clamp(-1.5, 2)", "{0} * {0}"),
    *("{0}.sin()", "{0}.erf()", "1 / ({0}.abs() + 0.5)", "({0}.abs() + 1).log()", "{0}.floor()"),
    *(
        "F.hardtanh({0}, -0.5, 0.7)",
        "{0}.clamp(min=-0.25)",
        "({0}.abs() + 0.3).rsqrt()",
        "{0} ** 2",
    ),
)
SCALED = ("{0} * 300", "{0} * 0.01", "{0} + 10", "{0} - 0.5", "{0} / 3", "1 - {0}", "{0} * -7")
BINARY = (
    *("{0} + {1}", "{0} + {1}", "{0} - {1}", "{0} * {1}", "torch.maximum({0}, {1})"),
    *("torch.minimum({0}, {1})", "{0} / ({1}.abs() + 0.5)", "torch.where({0} > 0, {0}, {1})"),
    "torch.where({1} > {0}, {0}, {1} * 20)",
)
MASKS = (
    *("{0}.masked_fill({0} > 0.5, 0.0)", "torch.where({0} > 0, {0}, 50.0)", "({0} > 0).float()"),
    *("{0} * ({0} > 0.2)", "torch.where({0} < -0.1, -100.0, {0})"),
)


class Draw:
    """Chance, and the values there are.

    Args:
        chance: Where choices come from.
        values: One example of each value.
    """

    def __init__(self, chance: Random, values: Sequence[torch.Tensor]) -> None:
        self.chance, self.values = chance, values
        self.seed = chance.randrange(1 << 16)

    def one(self, test: Callable[[torch.Tensor], bool]) -> int:
        """Returns the number of a value that passes ``test``, rather a late one.

        Raises:
            LookupError: There is none.
        """
        fit = [n for n, value in enumerate(self.values) if test(value)]
        if not fit:
            raise LookupError
        return self.chance.choice(fit[-2:] if self.chance.random() < 0.75 else fit)  # noqa: PLR2004

    def real(self, *ranks: int) -> int:
        """Returns a floating value, of one of the ranks where any are given."""
        return self.one(
            lambda v: v.is_floating_point() and v.dim() > 0 and (not ranks or v.dim() in ranks)
        )

    def axis(self, value: int) -> int:
        """Returns an axis of a value, none of length one where there is another."""
        shape = self.values[value].shape
        axes = [a for a, n in enumerate(shape) if n > 1] or list(range(len(shape)))
        axis = self.chance.choice(axes)
        return axis - len(shape) if self.chance.random() < 0.3 else axis  # noqa: PLR2004


def _unary(d: Draw) -> Step:
    return Step(d.chance.choice(UNARY), (d.real(),))


def _scaled(d: Draw) -> Step:
    return Step(d.chance.choice(SCALED), (d.real(),))


def _masked(d: Draw) -> Step:
    return Step(d.chance.choice(MASKS), (d.real(),))


def _binary(d: Draw) -> Step:
    a = d.real()
    shape = d.values[a].shape
    b = d.one(lambda v: v.is_floating_point() and _broadcasts(tuple(v.shape), tuple(shape)))
    return Step(d.chance.choice(BINARY), (a, b))


def _broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(x == y or 1 in {x, y} for x, y in zip(a[::-1], b[::-1], strict=False))


def _convolution(d: Draw) -> Step:
    a = d.real(4, 3)
    shape, c = d.values[a].shape, d.chance
    rank = len(shape) - 2
    kernel = (
        c.choice((1, 3, 3, 5)) if rank == 1 else c.choice(("1", "3", "3", "(3, 1)", "(1, 5)", "2"))
    )
    groups = c.choice([g for g in (1, 1, 1, 2, shape[1]) if shape[1] % g == 0])
    outs = groups * c.randint(1, 4)
    more = c.choice(("", ", padding=1", ", padding=1", ", stride=2", ", dilation=2, padding=2"))
    kind = "ConvTranspose" if c.random() < 0.12 else "Conv"  # noqa: PLR2004
    bias = c.choice((True, True, False))
    layer = f"nn.{kind}{rank}d({shape[1]}, {outs}, {kernel}{more}, groups={groups}, bias={bias})"
    return Step("{m}({0})", (a,), layer, d.seed)


def _linear(d: Draw) -> Step:
    a = d.real()
    layer = f"nn.Linear({d.values[a].shape[-1]}, {d.chance.randint(1, 9)}, bias={d.chance.random() < 0.8})"  # noqa: PLR2004
    return Step("{m}({0})", (a,), layer, d.seed)


def _norm(d: Draw) -> Step:
    a, c = d.real(2, 3, 4), d.chance
    shape = d.values[a].shape
    kinds = [f"nn.LayerNorm({shape[-1]})", f"nn.RMSNorm({shape[-1]})"]
    if len(shape) > 2:  # noqa: PLR2004
        rank = len(shape) - 2
        kinds += [f"nn.BatchNorm{rank}d({shape[1]})", f"nn.GroupNorm(1, {shape[1]})"]
        kinds += [f"nn.InstanceNorm{rank}d({shape[1]})"] if shape[2:].numel() > 1 else []
    return Step("{m}({0})", (a,), c.choice(kinds), d.seed)


def _join(d: Draw) -> Step:
    a, c = d.real(), d.chance
    axis, shape = d.axis(a), list(d.values[a].shape)

    def fits(v: torch.Tensor) -> bool:
        other = list(v.shape)
        same = len(other) == len(shape) and v.is_floating_point()
        return same and all(
            x == y
            for n, (x, y) in enumerate(zip(other, shape, strict=True))
            if n != axis % len(shape)
        )

    others = [d.one(fits) for _ in range(c.choice((1, 1, 2)))]
    places = ", ".join("{%d}" % n for n in range(1, len(others) + 1))  # noqa: UP031 (braces)
    if c.random() < 0.15 and all(list(d.values[n].shape) == shape for n in others):  # noqa: PLR2004
        return Step(f"torch.stack([{{0}}, {places}], {axis})", (a, *others))
    scale = c.choice(("", "", " * 100", ".sigmoid()"))
    return Step(f"torch.cat([{{0}}{scale}, {places}], {axis})", (a, *others))


def _pad(d: Draw) -> Step:
    a, c = d.real(3, 4), d.chance
    rank = len(d.values[a].shape)
    sizes = [c.choice((0, 1, 1, 2)) for _ in range(2 * (rank - 2))]
    mode = c.choice(("constant", "constant", "constant", "reflect", "replicate"))
    if mode != "constant":
        return Step(f"F.pad({{0}}, {tuple(sizes)}, mode='{mode}')", (a,))
    fill = c.choice((0.0, 0.0, 50.0, -3.0, 0.5))
    return Step(f"F.pad({{0}}, {tuple(sizes)}, value={fill})", (a,))


def _cut(d: Draw) -> Step:
    a, c = d.real(), d.chance
    axis = d.axis(a)
    size = d.values[a].shape[axis]
    start, end = sorted((c.randint(0, size), c.randint(0, size)))
    end = end if end > start else size
    start = min(start, size - 1)
    step = c.choice((1, 1, 2))
    at = axis % d.values[a].dim()
    before = ":, " * at
    cuts = [
        f"{{0}}[{before}{start}:{end}:{step}]",
        f"{{0}}[{before}{-(size - start)}:]",
        f"{{0}}.chunk(2, {axis})[-1]",
        f"{{0}}.flip({axis})",
        f"{{0}}.roll({c.randint(1, size)}, {axis})",
        f"{{0}}.select({axis}, {c.randrange(size)})",
        f"{{0}}.index_select({axis}, torch.tensor({[c.randrange(size) for _ in range(3)]}))",
        f"{{0}}.repeat_interleave(2, {axis})",
    ]
    return Step(c.choice(cuts), (a,))


def _view(d: Draw) -> Step:
    a, c = d.real(), d.chance
    shape = list(d.values[a].shape)
    order = c.sample(range(len(shape)), len(shape))
    views = [f"{{0}}.permute({order})", f"{{0}}.unsqueeze({c.randint(0, len(shape))})"]
    views += [f"{{0}}.flatten({c.choice((0, 1, -2))})"] if len(shape) > 1 else []
    views += ["{0}.transpose(-1, -2)", f"{{0}}.reshape({shape[0]}, -1)"] if len(shape) > 1 else []
    views += [f"{{0}}.squeeze({n})" for n, size in enumerate(shape) if size == 1 and len(shape) > 1]
    even = [n for n, size in enumerate(shape) if size % 2 == 0]
    if even:
        at = c.choice(even)
        views.append(f"{{0}}.reshape({[*shape[:at], 2, shape[at] // 2, *shape[at + 1 :]]})")
    return Step(c.choice(views), (a,))


def _reduce(d: Draw) -> Step:
    a, c = d.real(), d.chance
    axis, keep = d.axis(a), c.choice((True, False))
    names = ("mean", "mean", "sum", "amax", "amin", "argmax", "prod", "norm", "std", "logsumexp")
    name = c.choice(names)
    if name in {"mean", "sum", "amax"} and d.values[a].dim() > 2 and c.random() < 0.4:  # noqa: PLR2004
        return Step(f"{{0}}.{name}((-2, -1), keepdim={keep})", (a,))
    if name == "norm":
        return Step(f"{{0}}.norm(dim={axis}, keepdim={keep})", (a,))
    return Step(f"{{0}}.{name}({axis}, keepdim={keep})", (a,))


def _softmax(d: Draw) -> Step:
    a, c = d.real(), d.chance
    axis = d.axis(a)
    forms = (
        *(f"{{0}}.softmax({axis})", f"{{0}}.softmax({axis})", f"{{0}}.log_softmax({axis})"),
        f"{{0}}.masked_fill({{0}} > 0.7, float('-inf')).softmax({axis})",
        f"F.normalize({{0}}, dim={axis})",
        f"{{0}}.cumsum({axis})",
        f"F.glu({{0}}, {axis})",
    )
    return Step(c.choice(forms), (a,))


def _product(d: Draw) -> Step:
    a, c = d.real(2, 3, 4), d.chance
    k, n = d.values[a].shape[-1], c.randint(1, 6)
    forms = ["{0} @ {0}.transpose(-1, -2)", "F.scaled_dot_product_attention({0}, {0}, {0})"]
    if d.values[a].shape[-2] > 1:
        forms.append("F.scaled_dot_product_attention({0}, {0}, {0} * 2, is_causal=True)")
    if c.random() < 0.5:  # noqa: PLR2004
        return Step(c.choice(forms), (a,))
    try:
        b = d.one(
            lambda v: (
                v.is_floating_point()
                and v.dim() == d.values[a].dim()
                and v.shape[-2] == k
                and v.shape[:-2] == d.values[a].shape[:-2]
            )
        )
    except LookupError:
        return Step("{0} @ {m}", (a,), f"torch.randn({k}, {n})", d.seed)
    return Step("{0} @ {1}", (a, b))


def _pool(d: Draw) -> Step:
    a, c = d.real(4, 3), d.chance
    rank = d.values[a].dim() - 2
    forms = [
        f"F.max_pool{rank}d({{0}}, 2)",
        f"F.max_pool{rank}d({{0}}, 3, 2, 1, ceil_mode={c.choice((True, False))})",
        f"F.max_pool{rank}d({{0}}, 2, 1, 0, 2)",
        f"F.avg_pool{rank}d({{0}}, 2, 1)",
        f"F.avg_pool{rank}d({{0}}, 3, 2, 1, ceil_mode={c.choice((True, False))}, count_include_pad={c.choice((True, False))})",
        f"F.adaptive_avg_pool{rank}d({{0}}, {c.choice((1, 2, 3))})",
        f"F.adaptive_max_pool{rank}d({{0}}, {c.choice((1, 2))})",
    ]
    if rank == 2:  # noqa: PLR2004
        forms += [
            "F.max_pool2d(F.pad({0}, (0, 1, 0, 1), value=float('-inf')), 3, 2)",
            "F.avg_pool2d({0}, (2, 3), (1, 2), divisor_override=5)",
            "F.interpolate({0}, scale_factor=2)",
            "F.interpolate({0}, scale_factor=2, mode='bilinear')",
            "F.pixel_unshuffle({0}, 2)",
        ]
    return Step(c.choice(forms), (a,))


def _integer(d: Draw) -> Step:
    a, c = d.one(lambda v: not v.is_floating_point() and v.dtype.itemsize > 1), d.chance
    if c.random() < 0.6 and int(d.values[a].min()) >= 0:  # noqa: PLR2004
        return Step("{m}({0}.clamp(0, 9))", (a,), f"nn.Embedding(10, {c.randint(2, 8)})", d.seed)
    forms = (
        "{0}.float()",
        "{0} + 1",
        "{0}.clamp(0, 4)",
        "{0} * 2",
        "({0} == 3).float()",
        "{0} // 2",
    )
    return Step(c.choice(forms), (a,))


def _constant(d: Draw) -> Step:
    a, c = d.real(), d.chance
    shape = [n if c.random() < 0.6 else 1 for n in d.values[a].shape]  # noqa: PLR2004
    size = c.choice(("", " * 40", " * 0.02", ".abs()", ".sigmoid()"))
    form = c.choice(
        (
            "{0} + {m}",
            "{0} * {m}",
            "{m} - {0}",
            "torch.maximum({0}, {m})",
            "torch.where({m} > 0, {0}, {m})",
        )
    )
    return Step(form, (a,), f"torch.randn({shape}){size}", d.seed)


OPERATORS: tuple[tuple[int, Callable[[Draw], Step]], ...] = (
    *((7, _convolution), (5, _unary), (3, _scaled), (2, _masked), (5, _binary), (4, _linear)),
    *((2, _norm), (5, _join), (2, _pad), (3, _cut), (3, _view), (2, _reduce), (2, _softmax)),
    *((2, _product), (3, _pool), (3, _integer), (2, _constant)),
)
"""How often each is tried, and what draws it."""

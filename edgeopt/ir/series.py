"""Functions as polynomials, where runtimes have none or one that is not near enough."""

from __future__ import annotations

__all__ = ["TWICE_AREA_TANGENT"]

TWICE_AREA_TANGENT = (
    *(1.9999996708723566, 0.6667600283774155),
    *(0.3958946167440236, 0.34226050482691894),
)
"""2 · artanh(z) / z as a polynomial of z², lowest power first, for z in [-1/3, 1/3].

A minimax fit, relative error at most 1.7e-7. log(1 + u) is 2 · artanh(u / (2 + u)), for u in [-1/2, 1] here.
"""

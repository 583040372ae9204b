"""The gate: accuracy against float, parity against the reference, speed against float.

What each checks, and what fails or warns, is written in docs/gate.md.
"""

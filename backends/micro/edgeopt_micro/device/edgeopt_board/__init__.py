"""Talks to the firmware of a board, real or emulated. The standard library only; Python 3.9."""

"""Kernels on trial: random cases with the results they must have, and emulated cores to run them on."""

"""The runner that every bundle carries: the standard library and numpy, Python 3.9 and later."""

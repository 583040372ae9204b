"""The C runtime that is linked into every model."""

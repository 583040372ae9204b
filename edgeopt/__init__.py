"""edgeopt takes a trained PyTorch model to a small, fast, verified artefact on a named device."""

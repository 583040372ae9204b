"""What users pass as data: fitted to what a model takes, read once, checked once, counted."""

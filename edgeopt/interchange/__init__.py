"""Programs in formats that other tools read."""

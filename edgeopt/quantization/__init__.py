"""Post-training quantization: one table of grids, whatever found them."""

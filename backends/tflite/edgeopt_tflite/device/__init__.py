"""What runs on the device; nothing here imports edgeopt."""

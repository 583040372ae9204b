"""What runs on a device that kernels are tuned on."""

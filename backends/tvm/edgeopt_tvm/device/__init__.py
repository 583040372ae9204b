"""What goes onto the device."""

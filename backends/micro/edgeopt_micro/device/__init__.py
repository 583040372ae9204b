"""What goes into a bundle: the host's side of the serial line."""

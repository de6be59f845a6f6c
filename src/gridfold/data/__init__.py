"""From sources to prepared arrays and splits."""

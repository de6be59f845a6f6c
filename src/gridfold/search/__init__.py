"""What is decided while a search runs."""

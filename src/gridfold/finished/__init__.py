"""What is done with finished studies: read, compare, index, export."""

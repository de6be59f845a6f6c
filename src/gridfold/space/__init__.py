"""From axes to configurations."""

"""From trials to what can be claimed."""

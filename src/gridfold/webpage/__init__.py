"""What all web pages of gridfold share: they hold everything and ask nothing of a network."""

"""One figure or one family of figures in each module; `style` is what they share."""

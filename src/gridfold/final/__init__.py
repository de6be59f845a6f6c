"""The final model: fit, ensemble, card, inputs, inside, predictions for new samples."""

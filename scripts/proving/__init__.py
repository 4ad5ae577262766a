"""The child of ``slipway package``: converts a model and compares it with the model, row by row."""

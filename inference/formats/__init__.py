"""Bodies to columns, columns to what a model takes, predictions to bodies. Pure."""

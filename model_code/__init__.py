"""Training, the MLflow registry, packaging."""

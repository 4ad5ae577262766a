"""Native models: any MLflow pyfunc, in a process of its own interpreter."""

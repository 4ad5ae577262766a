"""MLflow follows: the aliases of the registry go where the traffic went."""

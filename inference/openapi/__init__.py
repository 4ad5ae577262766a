"""The server's interface as OpenAPI 3.1, out of the model's signature."""

"""Application Auto Scaling of the local cloud; it really scales variants of endpoints."""

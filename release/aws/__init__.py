"""The edge to AWS: what is seen of an endpoint, what is done to it, and what is kept in S3."""

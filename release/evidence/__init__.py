"""What a release leaves behind, as one JSON document."""

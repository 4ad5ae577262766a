"""The release controller: what serves."""

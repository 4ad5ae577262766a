"""HTTP/1.1 without a framework: connections, framing, limits, large and endless bodies."""

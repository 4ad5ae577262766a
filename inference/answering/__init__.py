"""From requests to answers: decoded, scored together where that is proven, answered in order."""

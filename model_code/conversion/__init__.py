"""Converting a logged model to files that the server runs without the model's own libraries.

What is made here is a candidate only: it is served once it has answered every row as the model did.
"""

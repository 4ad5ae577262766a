"""Request bodies to checked columns, one format a file; pure, and bad input is a RequestError."""

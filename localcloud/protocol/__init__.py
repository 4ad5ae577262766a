"""AWS's wire protocols for our own services, by botocore's service models."""

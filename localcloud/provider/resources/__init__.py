"""Handlers: each resource type in terms of boto3."""

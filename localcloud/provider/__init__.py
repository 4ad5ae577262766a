"""Pulumi's provider protocol over the local cloud."""

"""Leastwise: a self-hosted serverless platform that is secure before you do anything."""

__version__ = "0.1.0"

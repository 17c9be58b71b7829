"""The version of the contract between the host and its plugins."""

API_VERSION = "1.0"
"""Major and minor. A plugin works when its major is the host's and its minor is not greater."""

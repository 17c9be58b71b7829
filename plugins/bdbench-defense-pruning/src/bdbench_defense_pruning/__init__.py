"""Pruning as a backdoor defense."""

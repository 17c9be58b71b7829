"""Model merging as a backdoor defense."""

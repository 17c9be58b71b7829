"""Unlearning and relearning (ULRL) as a backdoor defense."""

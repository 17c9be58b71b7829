"""The suites that come along."""

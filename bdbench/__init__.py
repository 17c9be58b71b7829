"""bdbench: backdoor defenses, compared on equal footing."""

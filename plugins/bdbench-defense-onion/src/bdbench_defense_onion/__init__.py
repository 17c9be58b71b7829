"""ONION: a defense that removes the words without which a text reads better."""

"""Repairs of a text classifier with the clean pre-trained weights, for bdbench."""

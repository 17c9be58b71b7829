"""A task without text: vectors in, classes out. Shows that the host assumes nothing of text."""

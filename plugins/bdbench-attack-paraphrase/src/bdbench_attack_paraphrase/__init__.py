"""Text backdoors whose trigger is how a text is put: a syntax or a style."""

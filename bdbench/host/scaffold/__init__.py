"""The package that `bdbench new` writes: its names, and its files from templates."""

"""Discovery of plugins, names of components, and their configuration."""

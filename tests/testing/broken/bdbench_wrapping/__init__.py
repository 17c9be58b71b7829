"""A plugin with a wrapper of the old kind."""

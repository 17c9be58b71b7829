"""A plugin whose other hook lacks its `return`."""

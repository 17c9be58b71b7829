"""The content-addressed folder that holds what stages produced."""

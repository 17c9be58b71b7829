"""Records of cells, and their comparison."""

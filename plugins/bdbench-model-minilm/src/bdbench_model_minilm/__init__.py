"""all-MiniLM-L6-v2 as a victim model for bdbench."""

"""The torch work, one file a stage."""

"""Text backdoors that are put in by the training or straight into the weights."""

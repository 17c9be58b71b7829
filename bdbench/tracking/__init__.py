"""MLflow: an observer that spools first and publishes later."""

"""Ready-made parts that plugins may build on: model families, weight arithmetic, text triggers."""

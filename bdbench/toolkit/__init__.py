"""Ready-made heavy parts that plugins may build on: model families, streaming weight arithmetic."""

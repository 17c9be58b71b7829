"""From YAML to a plan: suites, cells, stages and their identities."""

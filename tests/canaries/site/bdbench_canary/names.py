"""The names of the probes, in the order in which they are made. Imports nothing heavy."""

PROBES = (
    "own_memory",  # first: what later probes read stays in it
    "garbage",
    "frames",
    "modules",
    "messages",
    "age",
    "marks",
    "environment",
    "own_process",
    "other_processes",
    "descriptors",
    "upward",
    "files",
    "bundled",
    "database",
    "network",
    "doors",
    "keys",
    "existence",
    "patches",
    "leftovers",
)

"""How much of a trigger can be seen in the text that bears it."""

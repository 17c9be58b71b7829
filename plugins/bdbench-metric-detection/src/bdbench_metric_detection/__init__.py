"""How well the screens and filters of a defense find what the attacker changed."""

"""Components that look for what they must not know, and say what they found."""

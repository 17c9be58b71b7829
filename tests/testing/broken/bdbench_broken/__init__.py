"""Components that each break one rule, named after the check that must find it.

Those named `sound-...` break none; what is broken derives from them.
"""

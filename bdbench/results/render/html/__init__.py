"""The comparison as one self-contained page: no network, no foreign markup, no inline code."""

"""Backdoors in pre-trained encoders: triggers are tied to representations, not to classes."""

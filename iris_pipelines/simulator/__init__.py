"""Believable traffic, the same for the same seed."""

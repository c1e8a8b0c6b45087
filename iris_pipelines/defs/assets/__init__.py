"""Software-defined assets, by the area of what they produce."""

"""Where files lie outside of this machine, and how one appears there whole or not at all."""

"""Sensors: what happens outside of Dagster, and what follows from it."""

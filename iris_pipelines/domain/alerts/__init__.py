"""Alerts: what tenants may ask to be told of, when an incident begins and ends, and in which words it is told."""

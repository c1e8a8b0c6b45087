"""Recurring reports: planned, made when their period is complete, each period once and in order, and mailed."""

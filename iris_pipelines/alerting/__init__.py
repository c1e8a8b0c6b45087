"""Alerts: rules, budgets and anomalies become incidents, and incidents become messages that arrive once."""

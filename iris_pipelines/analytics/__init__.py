"""The read path: what the marts and the event log say."""

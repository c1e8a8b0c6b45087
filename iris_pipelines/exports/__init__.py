"""The event log outside of the database: daily exports, the archive, the warehouse, and erasure in all of them."""

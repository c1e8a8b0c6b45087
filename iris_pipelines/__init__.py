"""IRIS Pipelines: exact messaging analytics on Dagster, dbt and PostgreSQL."""

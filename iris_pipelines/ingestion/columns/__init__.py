"""Events as Arrow columns: the form in which they go to the database, and the fast way to judge many at once."""

from iris_pipelines.ingestion.columns.judging import judge_columns
from iris_pipelines.ingestion.columns.schema import SCHEMA, from_events

__all__ = ["SCHEMA", "from_events", "judge_columns"]

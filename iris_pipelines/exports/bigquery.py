"""The event log in BigQuery: a day is replaced as a whole, by jobs that are the same however often they are asked for.

A load job is atomic, and its id is made from what it loads: asked for again, also by a process that takes over from a
killed one, BigQuery answers that it has it. What is there afterwards is compared with what was sent.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import IO, TYPE_CHECKING, Any, cast

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.db.staleness import Consumer, Grain, hand_out_touched_hours, register_consumers
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.windows import Window
from iris_pipelines.exports.archive import restore
from iris_pipelines.exports.days import window_of
from iris_pipelines.exports.events import ExportedDay, consumer_name
from iris_pipelines.exports.ndjson import write_ndjson
from iris_pipelines.exports.verification import ComparedDay

if TYPE_CHECKING:
    from google.cloud import bigquery

EXPORT = "events_bigquery"
TABLE = "events"
_SECONDS = 60.0
_ATTEMPTS = 20
_FIELDS = (
    ("id", "STRING"),
    ("tenant_id", "STRING"),
    ("event_type", "STRING"),
    ("timestamp", "TIMESTAMP"),
    ("message_id", "STRING"),
    ("campaign_id", "STRING"),
    ("contact_id", "STRING"),
    ("channel", "STRING"),
    ("provider", "STRING"),
    ("event_data", "JSON"),
    ("cost", "NUMERIC"),
    ("duration_ms", "INT64"),
    ("success", "BOOL"),
)
_REQUIRED = {"id", "tenant_id", "event_type", "timestamp"}
_NAMES = ", ".join(f"`{name}`" for name, _ in _FIELDS)
# The same sum as the query `warehouse_facts` makes of the event log; what JSON looks like is BigQuery's business.
_FACTS = """
    select
        count(*) as row_count,
        countif(event_data is not null) as with_data,
        coalesce(sum(cast(concat('0x', substr(to_hex(md5(concat(
            id, '|', tenant_id, '|', event_type, '|', cast(unix_micros(`timestamp`) as string), '|',
            coalesce(message_id, ''), '|', coalesce(campaign_id, ''), '|', coalesce(contact_id, ''), '|',
            coalesce(channel, ''), '|', coalesce(provider, ''), '|',
            coalesce(cast(cast(cost * 1000000 as int64) as string), ''), '|',
            coalesce(cast(duration_ms as string), ''), '|', coalesce(cast(success as string), '')
        ))), 1, 8)) as int64)), 0) as checksum
    from `{table}`
    where `timestamp` >= timestamp '{start}' and `timestamp` < timestamp '{end}'
"""


class WarehouseUnavailable(IrisError):
    """BigQuery does not answer, refuses, or did not take what it was given."""


@dataclass(frozen=True)
class Warehouse:
    """A dataset of BigQuery, and the variables that its credentials come from."""

    project: str
    dataset: str
    location: str | None
    """Where a new dataset is made; None leaves it to BigQuery."""
    environment: Mapping[str, str]
    patience: float = 60.0
    """For how many seconds a server that does not answer is asked again."""

    @property
    def url(self) -> str:
        """How the manifest calls it."""
        return f"bigquery://{self.project}/{self.dataset}"

    @property
    def is_emulated(self) -> bool:
        """Whether BIGQUERY_EMULATOR_HOST names a stand-in: it needs no credentials and lacks partition decorators."""
        return bool(self.environment.get("BIGQUERY_EMULATOR_HOST"))

    def table(self, name: str) -> str:
        """The full name of a table."""
        return f"{self.project}.{self.dataset}.{name}"

    @contextmanager
    def client(self) -> Iterator[bigquery.Client]:
        """A client of the dataset, which is made if it is missing."""
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud import bigquery
        from requests.exceptions import RequestException

        try:
            with closing(self._connected(self.location)) as client:
                dataset = bigquery.Dataset(f"{self.project}.{self.dataset}")
                if self.location is not None:
                    dataset.location = self.location
                made = client.create_dataset(dataset, exists_ok=True, retry=self._retry(), timeout=self.patience)
            # Jobs run where the dataset is, and are only found there.
            with closing(self._connected(made.location)) as client:
                yield client
        except (GoogleAPIError, GoogleAuthError, RequestException) as error:
            raise WarehouseUnavailable(f"{self.url} cannot be used: {error}") from error

    def _retry(self) -> Any:
        from google.cloud.bigquery.retry import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(self.patience)

    def _connected(self, location: str | None) -> bigquery.Client:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery

        if not self.is_emulated:
            return bigquery.Client(project=self.project, location=location)
        host = self.environment["BIGQUERY_EMULATOR_HOST"]
        return bigquery.Client(
            project=self.project,
            location=location,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": host if "://" in host else f"http://{host}"},
        )


def warehouse_of(url: str, environment: Mapping[str, str]) -> Warehouse:
    """The dataset that the manifest calls so; it exists, wherever it was made."""
    project, dataset = url.removeprefix("bigquery://").split("/")
    return Warehouse(project, dataset, None, environment)


@dataclass(frozen=True)
class _Facts:
    row_count: int
    with_data: int
    checksum: int


def export_day_to_bigquery(db: Database, warehouse: Warehouse, day: date) -> ExportedDay:
    """Replace a day of the table `events` and note it; one at a time does so for the same day."""
    consumer = consumer_name(EXPORT, warehouse.url)
    window = window_of(day)
    register_consumers(db, {consumer: Consumer(Grain.CLOSED_DAY)})
    restore(db, warehouse.environment, window)
    with db.transaction() as connection:
        hand_out_touched_hours(connection)
    with db.transaction() as connection, warehouse.client() as client, tempfile.TemporaryFile() as file:
        queries().lock_export(connection, consumer=consumer, day=day)
        queries().hold_events(connection, starts=window.start)
        # First: what this sees is committed, and so are its events; what comes later stays stale.
        queries().forget_stale_hours(connection, consumer=consumer, window_start=window.start, window_end=window.end)
        content = write_ndjson(connection, window, file)
        size = file.tell()
        _make_table(client, warehouse)
        _replace_day(connection, client, warehouse, day, file=file, sha256=content.content_sha256)
        facts: dict[str, Any] = {
            "url": f"{warehouse.url}/{TABLE}${day:%Y%m%d}",
            "row_count": content.row_count,
            "bytes": size,
            "sha256": content.content_sha256,
            "content_sha256": content.content_sha256,
            "min_timestamp": content.min_timestamp,
            "max_timestamp": content.max_timestamp,
        }
        version = queries().note_exported_day(connection, export=EXPORT, destination=warehouse.url, day=day, **facts)
    return ExportedDay(export=EXPORT, date=day, version=version, **facts)


def compare_days_in_bigquery(db: Database, warehouse: Warehouse, days: Sequence[date]) -> list[ComparedDay]:
    """Compare days of the table `events` with the event log: how many rows, and a checksum of what is in them."""
    with warehouse.client() as client:
        return [_compare(db, client, warehouse, day) for day in days]


def _compare(db: Database, client: bigquery.Client, warehouse: Warehouse, day: date) -> ComparedDay:
    window = window_of(day)
    bounds = {"window_start": window.start, "window_end": window.end}
    with db.transaction() as connection:
        noted = queries().exported_day(connection, export=EXPORT, destination=warehouse.url, day=day)
        if noted is None:
            return ComparedDay(day, "it was never exported")
        if queries().has_sealed_days(connection, **bounds):
            return ComparedDay(day)
        here = _Facts(*queries().warehouse_facts(connection, **bounds))
        # Last: what came in before the events were read is known by now.
        if queries().has_stale_hours(connection, consumer=consumer_name(EXPORT, warehouse.url), **bounds):
            return ComparedDay(day, is_waiting=True)
    there = _facts_of(client, warehouse, window)
    if there != here:
        return ComparedDay(
            day, f"{noted[0]} has {there.row_count:,} events, and others than the {here.row_count:,} of the event log"
        )
    return ComparedDay(day)


def _make_table(client: bigquery.Client, warehouse: Warehouse) -> None:
    from google.cloud import bigquery

    table = bigquery.Table(warehouse.table(TABLE), schema=_schema())
    table.time_partitioning = bigquery.TimePartitioning(type_="DAY", field="timestamp")
    table.clustering_fields = ["tenant_id", "event_type"]
    client.create_table(table, exists_ok=True)


def _replace_day(
    connection: Connection, client: bigquery.Client, warehouse: Warehouse, day: date, *, file: IO[bytes], sha256: str
) -> None:
    """Load until what is there is what was sent: a job of this id may have run long ago, or may have failed."""
    window = window_of(day)
    bounds = {"window_start": window.start, "window_end": window.end}
    table = f"{TABLE}_load_{day:%Y%m%d}" if warehouse.is_emulated else f"{TABLE}${day:%Y%m%d}"
    is_empty = file.seek(0, os.SEEK_END) == 0
    for attempt in range(_ATTEMPTS):
        job_id = f"iris-events-{day:%Y%m%d}-{sha256[:24]}-{attempt}"
        if is_empty:
            _delete_day(client, warehouse, window)
        else:
            load_file(client, warehouse.table(table), file, _schema(), job_id=job_id)
            if warehouse.is_emulated:
                _merge(client, warehouse, window, table)
        there = _facts_of(client, warehouse, window)
        here = _Facts(*queries().warehouse_facts(connection, **bounds))
        consumer = consumer_name(EXPORT, warehouse.url)
        # Where events came in meanwhile, nothing can be said: the day is due again.
        if there == here or queries().has_stale_hours(connection, consumer=consumer, **bounds):
            return
    raise WarehouseUnavailable(f"{warehouse.url} has other events of {day} than it was sent {_ATTEMPTS} times")


def load_file(
    client: bigquery.Client,
    table: str,
    file: IO[bytes],
    schema: Sequence[bigquery.SchemaField],
    *,
    job_id: str | None = None,
) -> int | None:
    """Replace a table, or a partition, by a load job with NDJSON, at least a row; returns how many rows it took.

    A job of this id that exists is waited for instead; if that one failed, nothing was loaded.
    """
    from google.api_core.exceptions import Conflict, GoogleAPICallError
    from google.cloud import bigquery

    file.seek(0)
    config = bigquery.LoadJobConfig(
        schema=list(schema),
        source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
        write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
        create_disposition=bigquery.CreateDisposition.CREATE_IF_NEEDED,
    )
    try:
        job = client.load_table_from_file(file, table, job_config=config, job_id=job_id, timeout=_SECONDS)
    except Conflict:
        assert job_id is not None  # noqa: S101 - no other id can be taken
        earlier: Any = client.get_job(job_id)
        try:
            earlier.result()
        except GoogleAPICallError:
            if earlier.error_result is None:
                raise
        return cast("int | None", earlier.output_rows)
    job.result()
    return cast("int | None", job.output_rows)


def _merge(client: bigquery.Client, warehouse: Warehouse, window: Window, loaded: str) -> None:
    """What a load job into a partition does, for a stand-in without partition decorators: one statement, all of it."""
    client.query(
        f"merge into `{warehouse.table(TABLE)}` as held using `{warehouse.table(loaded)}` as loaded on false"  # noqa: S608 - names of ours
        f" when not matched by source and held.`timestamp` >= timestamp '{window.start.isoformat()}'"
        f" and held.`timestamp` < timestamp '{window.end.isoformat()}' then delete"
        f" when not matched then insert ({_NAMES}) values ({_NAMES})"
    ).result()
    client.delete_table(warehouse.table(loaded), not_found_ok=True)


def _delete_day(client: bigquery.Client, warehouse: Warehouse, window: Window) -> None:
    """A load job of nothing is refused."""
    client.query(
        f"delete from `{warehouse.table(TABLE)}`"  # noqa: S608 - names of ours
        f" where `timestamp` >= timestamp '{window.start.isoformat()}'"
        f" and `timestamp` < timestamp '{window.end.isoformat()}'"
    ).result()


def _facts_of(client: bigquery.Client, warehouse: Warehouse, window: Window) -> _Facts:
    statement = _FACTS.format(table=warehouse.table(TABLE), start=window.start.isoformat(), end=window.end.isoformat())
    (row,) = client.query(statement).result()
    return _Facts(int(row["row_count"]), int(row["with_data"]), int(row["checksum"]))


def _schema() -> list[bigquery.SchemaField]:
    from google.cloud import bigquery

    return [
        bigquery.SchemaField(name, type_, mode="REQUIRED" if name in _REQUIRED else "NULLABLE")
        for name, type_ in _FIELDS
    ]

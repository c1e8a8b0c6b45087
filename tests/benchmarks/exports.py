"""What exporting and archiving a day costs, against the plainest way to read the same rows, in the same run."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

from psycopg.rows import dict_row

from iris_pipelines.db.database import Database, queries
from iris_pipelines.db.event_partitions import partition_name
from iris_pipelines.domain.windows import Window
from iris_pipelines.exports.archive import archive_day, restore
from iris_pipelines.exports.events import Destination, Export, export_day
from tests.benchmarks.figures import Figure

_GUIDE: LiteralString = """
    select * from iris.analytics_events
    where timestamp >= %(window_start)s and timestamp < %(window_end)s order by timestamp
"""


@dataclass(frozen=True)
class ExportBenchmark:
    """Benchmarks of one day's exports, and of its archive, which takes the day away and brings it back."""

    database: Database
    home: Path
    day: Window
    repeats: int = 3

    def figures(self) -> Iterator[Figure]:
        """Each as a ratio of wall time, or of size."""
        guide = self._median(self._the_guides_way)
        bare = self._median(lambda: self._copied(queries().copy_events_as_json.sql))
        binary = self._median(
            lambda: self._copied(queries().copy_events_as_csv.sql.replace("format csv", "format binary"))
        )
        plain = self._median(lambda: self._exported(Export.NDJSON, "none"))
        packed = self._median(lambda: self._exported(Export.NDJSON, "zst"))
        parquet = self._median(lambda: self._exported(Export.PARQUET, "none"))
        yield Figure("the guide's export / NDJSON.zst, time", guide / packed, ">= 5", f"{packed:.2f} s")
        yield Figure("bare COPY of JSON / NDJSON export, time", bare / plain, ">= 0.85", f"{plain:.2f} s")
        yield Figure("Parquet export / COPY binary, time", parquet / binary, "<= 1.6", f"{parquet:.2f} s")

        heap = self._heap()
        seconds, size = self._archived()
        yield Figure("heap / Parquet archive, bytes", heap / size, ">= 5", f"{size / 1e6:,.1f} MB")
        yield Figure("archive, verify and drop / Parquet export, time", seconds / parquet, "<= 3", f"{seconds:.2f} s")

    def _median(self, work: Callable[[], object]) -> float:
        return statistics.median(_seconds(work) for _ in range(self.repeats))

    @property
    def _bounds(self) -> dict[str, Any]:
        return {"window_start": self.day.start, "window_end": self.day.end}

    def _the_guides_way(self) -> None:
        with self.database.transaction() as connection:
            rows = connection.cursor(row_factory=dict_row).execute(_GUIDE, self._bounds).fetchall()
        (self.home / "guide.ndjson").write_text("\n".join(json.dumps(row, default=str) for row in rows))

    def _copied(self, statement: str) -> None:
        with (
            self.database.transaction() as connection,
            connection.cursor().copy(statement.encode(), self._bounds) as copy,
        ):
            for _ in copy:
                pass

    def _exported(self, export: Export, compression: str) -> None:
        destination = Destination(str(self.home / "exports"), {}, compression)
        export_day(self.database, export, destination, self.day.start.date())

    def _heap(self) -> int:
        with self.database.transaction() as connection:
            name = f"iris_partitions.{partition_name(self.day.start.date())}"
            row = connection.execute("select pg_relation_size(%s)", (name,)).fetchone()
        assert row is not None
        return int(row[0])

    def _archived(self) -> tuple[float, int]:
        with self.database.transaction() as connection:
            tenants = [tenant for (tenant,) in queries().tenants_of_day(connection, **self._bounds)]
        started = time.monotonic()
        files = archive_day(self.database, str(self.home / "exports"), {}, self.day.start.date(), tenants)
        seconds = time.monotonic() - started
        restore(self.database, {}, self.day)
        return seconds, sum(file.bytes for file in files)


def _seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started

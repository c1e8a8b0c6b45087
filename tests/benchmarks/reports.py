"""What reports cost: against the same question to the event log, against COPY, and in memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

from psycopg import ClientCursor
from psycopg.sql import SQL, Identifier

from iris_pipelines.db.database import Database
from iris_pipelines.domain.reports.calendar import zone
from iris_pipelines.domain.reports.definition import ReportDefinition, read_definition
from iris_pipelines.domain.reports.ranges import resolve
from iris_pipelines.domain.windows import DAY, Window, floor
from iris_pipelines.reporting.answers import ask, compiled, snapshot
from iris_pipelines.reporting.compiler.question import Question
from iris_pipelines.reporting.making import make_report
from tests.benchmarks.figures import Figure

_RAW = """
    select
        coalesce(channel, 'unknown'), coalesce(provider, 'unknown'),
        count(*) filter (where event_type = 'message.sent'),
        count(*) filter (where event_type = 'message.delivered'),
        count(*) filter (where event_type = 'message.failed'),
        count(*) filter (where event_type = 'message.opened'),
        count(*) filter (where event_type = 'link.clicked'),
        count(*) filter (where event_type in ('email.hard_bounce', 'email.soft_bounce')),
        round(100.0 * count(*) filter (where event_type = 'message.delivered')
            / nullif(count(*) filter (where event_type = 'message.sent'), 0), 2),
        round(100.0 * count(*) filter (where event_type = 'message.failed')
            / nullif(count(*) filter (where event_type = 'message.sent'), 0), 2),
        round(100.0 * count(*) filter (where event_type = 'message.opened' and not is_machine)
            / nullif(count(*) filter (where event_type = 'message.delivered'), 0), 2),
        round(100.0 * count(*) filter (where event_type = 'email.complaint')
            / nullif(count(*) filter (where event_type = 'message.delivered'), 0), 2),
        sum(cost),
        round((percentile_cont(0.95) within group (order by duration_ms)
            filter (where event_type = 'message.delivered'))::numeric)::bigint
    from iris.analytics_events
    where tenant_id = %s and timestamp >= %s and timestamp < %s and event_type <> 'api.request'
    group by 1, 2 order by 1, 2
"""
_METRICS = [
    *("messages_sent", "messages_delivered", "messages_failed", "messages_opened", "messages_clicked"),
    *("messages_bounced", "delivery_rate", "error_rate", "human_open_rate", "complaint_rate", "total_cost"),
    "p95_delivery_time_ms",
]
_CHILD = """
import sys
from datetime import datetime
from pathlib import Path
from uuid import UUID
from iris_pipelines.db.database import Database
from iris_pipelines.domain.reports.definition import read_definition
from iris_pipelines.reporting.making import make_report
url, tenant, document, path, now = sys.argv[1:]
with Database(url) as database:
    made = make_report(database, UUID(tenant), read_definition(document), Path(path), now=datetime.fromisoformat(now))
# Not getrusage: its peak is also that of the process which started this one.
(peak,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(made.rows, int(peak.split()[1]) // 1024)
"""


@dataclass(frozen=True)
class ReportBenchmark:
    """Reports of the largest tenant over the 30 days before an instant, files of the one with the largest campaigns."""

    database: Database
    folder: Path
    now: datetime

    def figures(self) -> Iterator[Figure]:
        """Each of them."""
        yield self._against_raw(self._largest_tenant("id"))
        tenant = self._largest_tenant("campaign_id")
        yield from self._large_csv(tenant)
        yield self._pdf(tenant)

    @property
    def _window(self) -> Window:
        end = floor(self.now, DAY)
        return Window(end - 30 * DAY, end)

    def _largest_tenant(self, column: LiteralString) -> UUID:
        """That with the most events which have a value in the column."""
        with self.database.transaction() as connection:
            row = connection.execute(
                SQL("select tenant_id from iris.analytics_events group by 1 order by count({}) desc limit 1").format(
                    Identifier(column)
                )
            ).fetchone()
        assert row is not None
        return UUID(str(row[0]))

    def _asked(self, **parts: Any) -> ReportDefinition:
        days = {"start": self._window.start, "end": self._window.end}
        return read_definition({"name": "Benchmark", "date_range": days, "timezone": "UTC", **parts})

    def _against_raw(self, tenant: UUID) -> Figure:
        definition = self._asked(metrics=_METRICS, dimensions=["channel", "provider"])
        question = Question(definition, resolve(definition.date_range, zone("UTC"), today=self.now.date()))

        def from_marts() -> list[tuple[Any, ...]]:
            with snapshot(self.database) as connection:
                return list(ask(connection, tenant, question, cap=10_000).rows)

        def from_events() -> list[tuple[Any, ...]]:
            with snapshot(self.database) as connection:
                return connection.execute(_RAW, (tenant, self._window.start, self._window.end)).fetchall()

        assert [row[:-1] for row in from_marts()] == [row[:-1] for row in from_events()]
        marts, events = _median(from_marts, 9), _median(from_events, 3)
        return Figure(
            "report of 30 days, times faster than from events", events / marts, ">= 50", f"{marts * 1000:.0f} ms"
        )

    def _large_csv(self, tenant: UUID) -> Iterator[Figure]:
        dimensions = ["hour", "provider", "campaign", "country", "error_code"]
        metrics = ["messages_sent", "messages_opened", "messages_clicked", "delivery_rate", "total_cost"]
        definition = self._asked(metrics=metrics, dimensions=dimensions)
        question = Question(definition, resolve(definition.date_range, zone("UTC"), today=self.now.date()))
        path = self.folder / "large.csv"
        rows = 0

        def report() -> None:
            nonlocal rows
            rows = make_report(self.database, tenant, definition, path, now=self.now).rows

        def copy() -> None:
            with snapshot(self.database) as connection, path.open("wb") as file:
                statement = compiled(connection, tenant, question, rows=5_000_000)
                bound = ClientCursor(connection).mogrify(statement.query, statement.parameters)
                with connection.cursor().copy(SQL("copy ({}) to stdout (format csv)").format(SQL(bound))) as out:  # type: ignore[arg-type]
                    for part in out:
                        file.write(part)

        ratio = _median(copy, 3) / _median(report, 3)
        yield Figure("CSV, of the speed of COPY", ratio, ">= 0.5", f"{rows:,} rows")
        arguments = [self.database.url, str(tenant), definition.model_dump_json(), str(path), self.now.isoformat()]
        done = subprocess.run([sys.executable, "-c", _CHILD, *arguments], capture_output=True, text=True, check=True)
        yield Figure("CSV, peak memory in MB", float(done.stdout.split()[1]), "< 200", f"{rows:,} rows")

    def _pdf(self, tenant: UUID) -> Figure:
        definition = self._asked(metrics=_METRICS, dimensions=["date", "channel", "provider"], format="pdf")

        def report() -> None:
            make_report(self.database, tenant, definition, self.folder / "report.pdf", now=self.now)

        import pypdfium2

        report()
        seconds = _median(report, 3)
        document = pypdfium2.PdfDocument(self.folder / "report.pdf")
        pages = len(document)
        document.close()
        return Figure("PDF with charts, seconds", seconds, "< 5", f"{pages} pages")


def _median(work: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        started = time.monotonic()
        work()
        taken.append(time.monotonic() - started)
    return statistics.median(taken)

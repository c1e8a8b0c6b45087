"""What exporting and archiving a day costs, against the plainest way to read the same rows, in the same run."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psutil
from psycopg import sql
from psycopg.rows import dict_row

from iris_pipelines.db.database import Database, queries
from iris_pipelines.db.event_partitions import partition_name
from iris_pipelines.domain.windows import Window
from iris_pipelines.exports.archive import archive_day, restore
from iris_pipelines.exports.events import Destination, Export, export_day
from iris_pipelines.exports.selections import as_json, exported_events
from tests.benchmarks.figures import Figure

_GUIDE: LiteralString = """
    select * from iris.analytics_events
    where timestamp >= %(window_start)s and timestamp < %(window_end)s order by timestamp
"""


_BINARY = sql.SQL("copy ({}) to stdout (format binary)")
_PEAK = """
import sys
from datetime import date
from pathlib import Path
from iris_pipelines.db.database import Database
from iris_pipelines.exports.events import Destination, Export, export_day
with Database(sys.argv[1]) as database:
    place = Destination(sys.argv[2], {}, sys.argv[4])
    export_day(database, Export(sys.argv[3]), place, date.fromisoformat(sys.argv[5]))
# What getrusage says was inherited from the parent.
(line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
print(int(line.split()[1]) / 1024)
"""


@dataclass(frozen=True)
class Cost:
    """What one run took: the wall's time, and the processor's, of this process and of the server's session."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class ExportBenchmark:
    """Benchmarks of one day's exports, and of its archive, which takes the day away and brings it back.

    Everything that is compared runs in turns, after one round that warms caches up and counts for nothing: a machine
    that is busy for a while slows all of it down. Medians are compared. The workers of a parallel query are missing in
    the processor's time, of both sides.
    """

    database: Database
    home: Path
    day: Window
    repeats: int = 3

    def figures(self) -> Iterator[Figure]:
        """Each as a ratio of wall time, or of size; and the peak memory of a fresh process, all of it."""
        cost = self._in_turns(
            {
                "guide": self._the_guides_way,
                "json": lambda: self._copied(as_json(exported_events())),
                "binary": lambda: self._copied(_BINARY.format(exported_events())),
                "plain": lambda: self._exported(Export.NDJSON, "none"),
                "zst": lambda: self._exported(Export.NDJSON, "zst"),
                "parquet": lambda: self._exported(Export.PARQUET, "none"),
            }
        )
        yield _ratio("the guide's export / NDJSON.zst, time", cost["guide"], cost["zst"], ">= 5")
        yield _ratio("bare COPY of JSON / NDJSON export, time", cost["json"], cost["plain"], ">= 0.85")
        yield _ratio("Parquet export / COPY binary, time", cost["parquet"], cost["binary"], "<= 1.6")
        yield Figure("NDJSON.zst export, peak MB", self._peak(Export.NDJSON, "zst"), "<= 64", "a fresh process")
        yield Figure("Parquet export, peak MB", self._peak(Export.PARQUET, "none"), "<= 400", "a fresh process")

        heap, sizes = self._heap(), []
        cost = self._in_turns(
            {
                "parquet": lambda: self._exported(Export.PARQUET, "none"),
                "archive": lambda: sizes.append(self._archived()),
            },
            after={"archive": self._restored},
        )
        yield Figure("heap / Parquet archive, bytes", heap / sizes[-1], ">= 5", f"{sizes[-1] / 1e6:,.1f} MB")
        yield _ratio("archive, verify and drop / Parquet export, time", cost["archive"], cost["parquet"], "<= 3")

    def _in_turns(
        self, works: Mapping[str, Callable[[], object]], *, after: Mapping[str, Callable[[], object]] | None = None
    ) -> dict[str, Cost]:
        """The median cost of each; what comes after one is not measured."""
        found: dict[str, list[Cost]] = {name: [] for name in works}
        for _ in range(self.repeats + 1):
            for name, work in works.items():
                found[name].append(self._cost(work))
                if after and name in after:
                    after[name]()
        return {
            name: Cost(
                statistics.median(cost.seconds for cost in costs[1:]),
                statistics.median(cost.cpu_seconds for cost in costs[1:]),
            )
            for name, costs in found.items()
        }

    def _cost(self, work: Callable[[], object]) -> Cost:
        with self.database.transaction() as connection:
            session = psutil.Process(connection.info.backend_pid)
        before = _cpu(session)
        cpu, started = time.process_time(), time.monotonic()
        work()
        seconds, cpu = time.monotonic() - started, time.process_time() - cpu
        return Cost(seconds, cpu + _cpu(session) - before)

    def _peak(self, export: Export, compression: str) -> float:
        """The resident memory of a process that does nothing else, with the interpreter and all that it imports."""
        options = [self.database.url, str(self.home / "exports"), export, compression, f"{self.day.start:%Y-%m-%d}"]
        done = subprocess.run([sys.executable, "-c", _PEAK, *options], capture_output=True, text=True, check=True)
        return float(done.stdout)

    @property
    def _bounds(self) -> dict[str, Any]:
        return {"window_start": self.day.start, "window_end": self.day.end}

    def _the_guides_way(self) -> None:
        with self.database.transaction() as connection:
            rows = connection.cursor(row_factory=dict_row).execute(_GUIDE, self._bounds).fetchall()
        (self.home / "guide.ndjson").write_text("\n".join(json.dumps(row, default=str) for row in rows))

    def _copied(self, statement: sql.Composed) -> None:
        with (
            self.database.transaction() as connection,
            connection.cursor().copy(statement, self._bounds) as copy,
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

    def _archived(self) -> int:
        """The bytes of the archive."""
        with self.database.transaction() as connection:
            tenants = [tenant for (tenant,) in queries().tenants_of_day(connection, **self._bounds)]
        files = archive_day(self.database, str(self.home / "exports"), {}, self.day.start.date(), tenants)
        return sum(file.bytes for file in files)

    def _restored(self) -> None:
        restore(self.database, {}, self.day)
        with self.database.autocommit() as connection:
            connection.execute("vacuum analyze iris.analytics_events")


def _ratio(name: str, cost: Cost, to: Cost, reach: str) -> Figure:
    note = f"{cost.seconds:.2f} / {to.seconds:.2f} s, CPU {cost.cpu_seconds / to.cpu_seconds:.2f}"
    return Figure(name, cost.seconds / to.seconds, reach, note)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system

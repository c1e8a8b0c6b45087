"""What loading events costs, against a raw COPY of the same rows as CSV into a bare table, in the same run."""

from __future__ import annotations

import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from iris_pipelines.db.database import Database
from iris_pipelines.db.event_partitions import compact_primary_keys
from tests.benchmarks.figures import Figure

_TO_CSV = "copy (select * from iris.analytics_events) to stdout (format csv)"
_BARE = "create table if not exists public.bare_events (like iris.analytics_events)"


@dataclass(frozen=True)
class IngestBenchmark:
    """Benchmarks of `iris ingest` as a child process; `home` is the IRIS_HOME that `database` belongs to."""

    database: Database
    home: Path
    repeats: int = 3

    def figures(self, ndjson: Path, parquet: Path) -> Iterator[Figure]:
        """Throughput from both formats, a second load, memory, and the size of the indexes."""
        first, memory = self._ingest(ndjson)
        rows = self._count()
        raw = self._raw_copy(self.home / "bench.csv")
        for name, file, reach in (("NDJSON.gz", ndjson, 0.4), ("Parquet", parquet, 0.6)):
            loads = [self._fresh(file) for _ in range(self.repeats)]
            seconds = statistics.median(each for each, _ in loads)
            memory = max(memory, *(peak for _, peak in loads))
            note = f"{rows / seconds:,.0f} rows/s, raw COPY {rows / raw:,.0f}"
            yield Figure(f"iris ingest from {name} / raw COPY, rows/s", raw / seconds, f">= {reach}", note)
        shuffled = _reordered(ndjson, self.home / "again.ndjson.gz")
        ratios, added = [], 0
        for _ in range(self.repeats):
            first, _ = self._fresh(ndjson)
            before = self._count()
            again, peak = self._ingest(shuffled)
            memory = max(memory, peak)
            added += self._count() - before
            ratios.append(again / first)
        yield Figure(
            "the same events again, reordered / the first time",
            statistics.median(ratios),
            "<= 0.75",
            f"{added} rows added",
        )
        yield Figure("peak memory of iris ingest, MB", memory / 1024, "< 300", f"{rows:,} rows")
        as_loaded = self._index_share()
        with self.database.transaction() as connection:
            connection.execute("analyze iris.analytics_events")
        compact_primary_keys(self.database, now=datetime.now(UTC) + timedelta(days=1))
        note = f"after the nightly maintenance; {as_loaded:.2f} as loaded"
        yield Figure("indexes / heap of analytics_events", self._index_share(), "<= 0.4", note)

    def _fresh(self, file: Path) -> tuple[float, float]:
        with self.database.transaction() as connection:
            connection.execute("truncate iris.analytics_events, iris.ingested_files, iris.touched_hours")
        return self._ingest(file)

    def _ingest(self, file: Path) -> tuple[float, float]:
        """Seconds that the load took, as the command reports them, without the start of Python; and its peak memory."""
        command = [sys.executable, "-m", "iris_pipelines", "ingest", "--json", "--create-tenants", str(file)]
        child = subprocess.Popen(
            command, env={**os.environ, "IRIS_HOME": str(self.home)}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert child.stdout is not None
        peak = 0.0
        while child.poll() is None:
            peak = max(peak, _peak_memory(child.pid))
            time.sleep(0.05)
        report = child.stdout.read()
        child.stdout.close()
        if child.returncode != 0:
            raise RuntimeError(f"iris ingest ended with {child.returncode}: {report.decode()}")
        return _reported_seconds(report), peak

    def _raw_copy(self, csv: Path) -> float:
        with self.database.transaction() as connection:
            connection.execute(_BARE)
            with connection.cursor().copy(_TO_CSV) as copy, csv.open("wb") as file:
                for block in copy:
                    file.write(block)
        return statistics.median(self._timed(lambda: self._copy_in(csv)) for _ in range(self.repeats))

    def _copy_in(self, csv: Path) -> None:
        with self.database.transaction() as connection:
            connection.execute("truncate public.bare_events")
        with (
            self.database.transaction() as connection,
            csv.open("rb") as file,
            connection.cursor().copy("copy public.bare_events from stdin (format csv)") as copy,
        ):
            while block := file.read(1 << 20):
                copy.write(block)

    def _timed(self, work: Callable[[], None]) -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    def _count(self) -> int:
        with self.database.transaction() as connection:
            row = connection.execute("select count(*) from iris.analytics_events").fetchone()
        assert row is not None
        return int(row[0])

    def _index_share(self) -> float:
        with self.database.transaction() as connection:
            row = connection.execute(
                "select sum(pg_indexes_size(relid)) / sum(pg_relation_size(relid))"
                " from pg_partition_tree('iris.analytics_events') where isleaf"
            ).fetchone()
        assert row is not None
        return float(row[0])


def _peak_memory(pid: int) -> float:
    """The most memory that a running process has had, in KB. What wait4 says of a child includes its parent's."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return float(found[1]) if found else 0.0


def parquet_of(folder: Path, into: Path) -> Path:
    """One Parquet file of the event files of a folder."""
    tables = [pq.read_table(file) for file in sorted(folder.glob("*.parquet"))]
    pq.write_table(pa.concat_tables(tables), into)
    return into


def gzip_of(folder: Path, into: Path) -> Path:
    """One file of the gzipped event files of a folder: gzip members follow each other."""
    with into.open("wb") as out:
        for file in sorted(folder.glob("*.ndjson.gz")):
            with file.open("rb") as source:
                shutil.copyfileobj(source, out)
    return into


def _reordered(file: Path, into: Path) -> Path:
    import gzip

    with gzip.open(file) as source:
        lines = source.readlines()
    random.Random(1).shuffle(lines)
    with gzip.open(into, "wb", compresslevel=3) as out:
        out.writelines(lines)
    return into


def _reported_seconds(report: bytes) -> float:
    import orjson

    return float(orjson.loads(report)["seconds"])

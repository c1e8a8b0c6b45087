"""A simulation as files: events by the day they arrive on, platform records, and what a loader must find in them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from iris_pipelines.domain.errors import IrisError
from iris_pipelines.simulator.events import EVENT_SCHEMA
from iris_pipelines.simulator.faults import Medium
from iris_pipelines.simulator.lines import CSV_SCHEMA, csv_rows, ndjson_lines, record_lines, text_of
from iris_pipelines.simulator.simulation import DayTraffic, Simulation, TrafficBatch
from iris_pipelines.simulator.text import pc

MANIFEST = "manifest.json"
_GZIP_LEVEL = 4


class FileFormat(StrEnum):
    """How event files are written."""

    NDJSON = "ndjson"
    PARQUET = "parquet"
    CSV = "csv"

    @property
    def medium(self) -> Medium:
        """What such a file can hold."""
        return Medium.COLUMNS if self is FileFormat.PARQUET else Medium(self.value)


class Compression(StrEnum):
    """How event files are compressed; Parquet inside, the others as a whole."""

    GZ = "gz"
    ZST = "zst"
    NONE = "none"


class OutputError(IrisError):
    """A folder that cannot take the files."""


@dataclass
class Counts:
    """What is in some files, and what a loader must make of it."""

    received: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    late: int = 0
    machine: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    event_types: Counter[str] = field(default_factory=Counter)
    tenants: Counter[str] = field(default_factory=Counter)

    def add(self, batch: TrafficBatch, medium: Medium) -> None:
        """Count the events of a batch."""
        good = batch.good
        self.received += len(batch)
        self.accepted += len(good)
        self.duplicates += batch.duplicates
        self.rejected += batch.malformed
        self.late += batch.late
        self.machine += pc.sum(good["is_machine"]).as_py() or 0
        self.reasons.update(fault.reason for fault in batch.faults(medium)[1])
        self.event_types.update(_counted(good["event_type"]))
        self.tenants.update(_counted(good["tenant_id"]))


@dataclass(frozen=True)
class Written:
    """What `write_simulation` wrote."""

    folder: Path
    counts: Counts
    messages: int
    files: int
    bytes: int


def write_simulation(
    simulation: Simulation,
    folder: Path,
    *,
    file_format: FileFormat = FileFormat.NDJSON,
    compression: Compression = Compression.GZ,
    on_day: Callable[[DayTraffic], None] | None = None,
) -> Written:
    """Write every file of a simulation, the manifest last; raises OutputError if the folder holds something else.

    A folder that an earlier simulation filled is emptied first.
    """
    try:
        return _write(simulation, folder, file_format, compression, on_day)
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error


def _write(
    simulation: Simulation,
    folder: Path,
    file_format: FileFormat,
    compression: Compression,
    on_day: Callable[[DayTraffic], None] | None,
) -> Written:
    _clear(folder)
    (folder / "events").mkdir(parents=True, exist_ok=True)
    tenants = [asdict(tenant) for tenant in simulation.tenants]
    lines = [json.dumps(tenant, default=str, ensure_ascii=False, separators=(",", ":")) for tenant in tenants]
    (folder / "tenants.ndjson").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    _write_records(folder / "contacts.ndjson", simulation.contacts())
    _write_records(folder / "campaigns.ndjson", iter([simulation.campaigns()]))

    total, messages, files = Counts(), 0, []
    with (folder / "messages.ndjson").open("wb") as message_file:
        for day in simulation.days():
            for records in day.messages:
                message_file.write(text_of(record_lines(records)))
                messages += len(records)
            path = folder / "events" / _file_name(day, file_format, compression)
            counts = Counts()
            with _event_writer(path, file_format, compression) as write:
                for batch in day.batches():
                    write(batch)
                    counts.add(batch, file_format.medium)
                    total.add(batch, file_format.medium)
            files.append(_described(path, counts))
            if on_day is not None:
                on_day(day)
    _write_manifest(folder / MANIFEST, simulation, tenants=tenants, total=total, messages=messages, files=files)
    return Written(folder, total, messages, len(files), sum(int(each["bytes"]) for each in files))


def _write_records(path: Path, batches: Iterator[pa.RecordBatch]) -> None:
    with path.open("wb") as file:
        for batch in batches:
            if len(batch):
                file.write(text_of(record_lines(batch)))


def _write_manifest(
    path: Path,
    simulation: Simulation,
    *,
    tenants: list[dict[str, Any]],
    total: Counts,
    messages: int,
    files: list[dict[str, Any]],
) -> None:
    document = {
        "plan": asdict(simulation.plan),
        **_totals(total),
        "late": total.late,
        "machine": total.machine,
        "event_types": dict(sorted(total.event_types.items())),
        "messages": messages,
        "tenants": [{**tenant, "events": total.tenants[str(tenant["id"])]} for tenant in tenants],
        "files": files,
    }
    path.write_text(json.dumps(document, indent=2, default=str, ensure_ascii=False) + "\n", encoding="utf-8")


def _totals(counts: Counts) -> dict[str, Any]:
    return {
        "received": counts.received,
        "accepted": counts.accepted,
        "duplicates": counts.duplicates,
        "rejected": counts.rejected,
        "rejected_by_reason": dict(sorted(counts.reasons.items())),
    }


def _described(path: Path, counts: Counts) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = path.relative_to(path.parent.parent).as_posix()
    return {"name": name, **_totals(counts), "bytes": path.stat().st_size, "sha256": digest}


def _file_name(day: DayTraffic, file_format: FileFormat, compression: Compression) -> str:
    whole = file_format is FileFormat.PARQUET or compression is Compression.NONE
    return f"events_{day.day}.{file_format}{'' if whole else f'.{compression}'}"


def _clear(folder: Path) -> None:
    """Remove what an earlier simulation left; refuse a folder with anything else in it."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file: name a folder")
    present = {path for path in folder.rglob("*") if not path.is_dir()}
    ours = {
        folder / MANIFEST,
        *(folder / f"{name}.ndjson" for name in ("tenants", "contacts", "campaigns", "messages")),
    }
    ours |= set((folder / "events").glob("events_????-??-??.*"))
    foreign = sorted(present - ours)
    if foreign or (present and folder / MANIFEST not in present):
        example = foreign[0] if foreign else min(present)
        raise OutputError(f"{folder} has other files in it, such as {example.name}: name a new or an empty folder")
    # The manifest goes last, so that a removal that breaks off can be taken up again.
    for path in sorted(present, key=lambda each: each.name == MANIFEST):
        path.unlink()


Write = Callable[[TrafficBatch], None]


@contextmanager
def _event_writer(path: Path, file_format: FileFormat, compression: Compression) -> Iterator[Write]:
    if file_format is FileFormat.PARQUET:
        codec: Any = {Compression.GZ: "gzip", Compression.ZST: "zstd", Compression.NONE: "none"}[compression]
        with pyarrow.parquet.ParquetWriter(path, EVENT_SCHEMA, compression=codec) as parquet:
            yield lambda batch: parquet.write_batch(batch.columns())
        return
    with path.open("wb") as raw, _compressed(raw, compression) as write:
        if file_format is FileFormat.CSV:
            write(pa.py_buffer(f"{','.join(CSV_SCHEMA.names)}\n".encode()))
            yield lambda batch: write(_csv_text(batch))
        else:
            yield lambda batch: write(text_of(ndjson_lines(batch)))


def _csv_text(batch: TrafficBatch) -> pa.Buffer:
    stream = pa.BufferOutputStream()
    pyarrow.csv.write_csv(csv_rows(batch), stream, write_options=pyarrow.csv.WriteOptions(include_header=False))
    return stream.getvalue()


@contextmanager
def _compressed(raw: Any, compression: Compression) -> Iterator[Callable[[pa.Buffer], None]]:
    if compression is Compression.NONE:
        yield lambda data: _write_all(raw, data)
    elif compression is Compression.ZST:
        with pa.CompressedOutputStream(raw, "zstd") as file:
            yield lambda data: _write_all(file, data)
    else:
        # A member a batch. The system's zlib differs between machines, the one in pyarrow does not.
        codec = pa.Codec("gzip", compression_level=_GZIP_LEVEL)
        yield lambda data: _write_all(raw, codec.compress(data))


def _write_all(file: Any, data: pa.Buffer) -> None:
    file.write(data)


def _counted(values: pa.Array[Any]) -> dict[str, int]:
    return {each["values"]: each["counts"] for each in pc.value_counts(values).to_pylist()}

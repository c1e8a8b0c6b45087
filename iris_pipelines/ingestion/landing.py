"""The landing zone: a folder or a prefix in an object store where others put event files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import PurePath
from urllib.parse import urlsplit

from iris_pipelines.db.database import Database, queries
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.ingestion.files.discovery import StoredFile, is_event_file, local_files, local_path
from iris_pipelines.ingestion.files.stores import ObjectStoreFolder
from iris_pipelines.ingestion.ingested_files import FileResult, ingest_files
from iris_pipelines.ingestion.loader import RestoreDays
from iris_pipelines.storage.object_stores import SCHEMES

SETTLING = timedelta(seconds=5)
"""How long nobody must have written to a local file before it is taken for whole."""


class LandingZoneMissing(IrisError):
    """The landing zone is not where the configuration says."""


def new_landing_files(
    db: Database, landing_url: str, *, now: datetime, environment: Mapping[str, str]
) -> list[StoredFile]:
    """The event files that were not read since they were last written, by name.

    A file that `ingest_files` could not read counts as read until somebody writes it anew.
    """
    if urlsplit(landing_url).scheme in SCHEMES:
        folder = ObjectStoreFolder(landing_url, environment)
        root, files = folder.url, list[StoredFile](folder.objects(allow_missing=True))
    else:
        path = local_path(landing_url)
        if not path.is_dir():
            raise LandingZoneMissing(f"the landing zone {path} is no folder: create it, or set IRIS_LANDING_URL")
        root, files = str(path.absolute()), [file for file in local_files(path) if _has_settled(file, now)]
    files = [file for file in files if is_event_file(PurePath(file.name.removeprefix(root)))]
    with db.transaction() as connection:
        new = queries().files_not_read(
            connection,
            names=[file.name for file in files],
            sizes=[file.size for file in files],
            times=[file.modified_at for file in files],
        )
        positions = [position for (position,) in new]
    return [files[position - 1] for position in positions]


def ingest_new_landing_files(
    db: Database,
    landing_url: str,
    *,
    now: datetime,
    history_start: date,
    environment: Mapping[str, str],
    restore_days: RestoreDays | None = None,
) -> Iterator[FileResult]:
    """Load every file that is new in the landing zone, and say what became of each."""
    files = new_landing_files(db, landing_url, now=now, environment=environment)
    return ingest_files(db, files, now=now, history_start=history_start, restore_days=restore_days)


def _has_settled(file: StoredFile, now: datetime) -> bool:
    """A time in the future says that clocks differ, not that somebody still writes."""
    return file.modified_at is None or abs(now - file.modified_at) >= SETTLING

"""Event files in object stores: what lies under a prefix, and a local copy of each to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from iris_pipelines.ingestion.files.copies import temporary_copy
from iris_pipelines.ingestion.files.errors import UnreadableFile
from iris_pipelines.storage.object_stores import StoreUnavailable, open_object_store

if TYPE_CHECKING:
    from pyarrow import fs


@dataclass(frozen=True)
class StoredObject:
    """An object in a store; it appears there whole, so it is never half written."""

    name: str
    """Its URL."""
    size: int
    modified_at: datetime | None
    store: fs.FileSystem
    path: str
    """Its bucket and key."""

    @contextmanager
    def local_path(self) -> Iterator[Path]:
        """A copy on this machine, fetched once."""
        try:
            with self.store.open_input_stream(self.path) as stream, temporary_copy(stream, self.name) as copy:
                yield copy
        except FileNotFoundError as error:
            raise UnreadableFile(self.name, "does not exist any more") from error
        except OSError as error:
            raise UnreadableFile(self.name, f"cannot be fetched: {error}") from error

    def is_unchanged(self) -> bool:
        """Whether what was read is what the store has; a copy is always whole."""
        return True


class ObjectStoreFolder:
    """A bucket, or what lies under a prefix of it."""

    def __init__(self, url: str, environment: Mapping[str, str]) -> None:
        store = open_object_store(url, environment)
        self.url = url.rstrip("/")
        self._scheme = store.scheme
        self._bucket = store.bucket
        self._path = store.path
        self._store = store.files

    def objects(self, *, allow_missing: bool = False) -> list[StoredObject]:
        """The object of this URL, or all that lie under it, by name.

        Nothing there is an error, unless a prefix may be missing: until its first object comes, it does not exist.
        """
        from pyarrow import fs

        try:
            found = self._store.get_file_info(self._path)
            if found.type is fs.FileType.Directory:
                infos = self._store.get_file_info(fs.FileSelector(self._path, recursive=True))
            elif found.type is fs.FileType.File:
                infos = [found]
            elif allow_missing and self._store.get_file_info(self._bucket).type is not fs.FileType.NotFound:
                infos = []
            else:
                raise StoreUnavailable(f"{self.url} does not exist")
        except OSError as error:
            raise StoreUnavailable(f"{self.url} cannot be listed: {error}") from error
        files = [info for info in infos if info.type is fs.FileType.File]
        return [self._object(info) for info in sorted(files, key=lambda info: info.path)]

    def _object(self, info: fs.FileInfo) -> StoredObject:
        return StoredObject(f"{self._scheme}://{info.path}", info.size or 0, info.mtime, self._store, info.path)

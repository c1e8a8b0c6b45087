"""A folder of this machine or a prefix of an object store, written to so that no reader ever sees half a file.

A file is written under a hidden name beside its own and moved there when it is complete. Closing the stream of an
object store publishes what was written so far, also when an exception or the interpreter's end closes it: that must
not happen under the name that readers look for.
"""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol, cast
from urllib.parse import unquote, urlsplit

from iris_pipelines.storage.object_stores import SCHEMES, ObjectStore, StoreUnavailable, open_object_store

# Larger objects cannot be copied in one request.
_S3_COPY_LIMIT = 5 << 30


class Writable(Protocol):
    """What bytes can be written to."""

    def write(self, data: bytes, /) -> object:
        """Take the bytes."""


class Nowhere:
    """Where bytes go of which only the digest is wanted."""

    def write(self, data: bytes, /) -> None:
        """Forget the bytes."""


class Place(ABC):
    """Where files of a kind are kept; names are relative to it, with slashes."""

    def __init__(self, url: str) -> None:
        self.url = url

    def url_of(self, name: str) -> str:
        """Where a file is, for people and for other tools."""
        return f"{self.url}/{name}"

    def name_of(self, url: str) -> str:
        """The name of a file by its URL."""
        return url.removeprefix(f"{self.url}/")

    @contextmanager
    def writing(self, name: str) -> Iterator[Writable]:
        """A stream whose bytes are there under this name, all of them, when the block ends well; else none are."""
        incoming = _incoming(name)
        with self._explained(name, "written"):
            stream = self._open(incoming)
            try:
                try:
                    yield stream
                    self._flush(stream)
                finally:
                    stream.close()
                self._publish(incoming, name)
            except BaseException:
                # Whatever went wrong is told; what is left of it under its hidden name is overwritten next time.
                with suppress(OSError):
                    self._delete(incoming)
                raise

    @contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes]]:
        """The bytes of a file."""
        with self._explained(name, "read"), self._open_to_read(name) as stream:
            yield stream

    def names(self, folder: str) -> list[str]:
        """The files under a folder of this place, hidden ones too; none where there is no such folder."""
        with self._explained(folder, "listed"):
            return sorted(self._list(folder))

    def delete(self, name: str) -> None:
        """Remove a file; one that is not there is as good as removed."""
        with self._explained(name, "deleted"):
            self._delete(name)

    def delete_others(self, folder: str, keep: str | None) -> list[str]:
        """Remove what lies in a folder beside one file: older versions, and what killed writers left."""
        others = [name for name in self.names(folder) if name != keep]
        for name in others:
            self.delete(name)
        return others

    @contextmanager
    def _explained(self, name: str, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise StoreUnavailable(f"{self.url_of(name)} cannot be {what}: it does not exist") from error
        except OSError as error:
            raise StoreUnavailable(f"{self.url_of(name)} cannot be {what}: {error}") from error

    @abstractmethod
    def _open(self, name: str) -> IO[bytes]: ...

    @abstractmethod
    def _flush(self, stream: IO[bytes]) -> None: ...

    @abstractmethod
    def _publish(self, incoming: str, name: str) -> None: ...

    @abstractmethod
    def _open_to_read(self, name: str) -> IO[bytes]: ...

    @abstractmethod
    def _list(self, folder: str) -> Iterable[str]: ...

    @abstractmethod
    def _delete(self, name: str) -> None: ...


class _Folder(Place):
    """A folder of this machine: what goes there goes without Arrow, which takes more memory than a whole export."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self._folder = Path(folder)

    def _open(self, name: str) -> IO[bytes]:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb")

    def _flush(self, stream: IO[bytes]) -> None:
        stream.flush()
        os.fsync(stream.fileno())

    def _publish(self, incoming: str, name: str) -> None:
        path = self._folder / name
        (self._folder / incoming).replace(path)
        _sync_folder(path.parent)

    def _open_to_read(self, name: str) -> IO[bytes]:
        return (self._folder / name).open("rb")

    def _list(self, folder: str) -> Iterable[str]:
        return [str(path.relative_to(self._folder)) for path in (self._folder / folder).rglob("*") if path.is_file()]

    def _delete(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)


class _Prefix(Place):
    """A prefix of an object store."""

    def __init__(self, url: str, store: ObjectStore) -> None:
        super().__init__(url)
        self._store = store

    def _path(self, name: str) -> str:
        return f"{self._store.path}/{name}".rstrip("/")

    def _open(self, name: str) -> IO[bytes]:
        return cast("IO[bytes]", self._store.files.open_output_stream(self._path(name)))

    def _flush(self, stream: IO[bytes]) -> None:
        """Closing it does."""

    def _publish(self, incoming: str, name: str) -> None:
        files = self._store.files
        size = files.get_file_info(self._path(incoming)).size or 0
        if self._store.scheme == "s3" and size > _S3_COPY_LIMIT:
            raise StoreUnavailable(
                f"{self.url_of(name)} would have {size:,} bytes, and S3 copies at most 5 GiB: "
                "set IRIS_EXPORT_COMPRESSION=zst"
            )
        files.copy_file(self._path(incoming), self._path(name))
        # The file is there: what is left under its hidden name is overwritten next time.
        with suppress(OSError):
            files.delete_file(self._path(incoming))

    def _open_to_read(self, name: str) -> IO[bytes]:
        return cast("IO[bytes]", self._store.files.open_input_stream(self._path(name)))

    def _list(self, folder: str) -> Iterable[str]:
        from pyarrow import fs

        selector = fs.FileSelector(self._path(folder), recursive=True, allow_not_found=True)
        found = self._store.files.get_file_info(selector)
        return [info.path.removeprefix(f"{self._store.path}/") for info in found if info.type is fs.FileType.File]

    def _delete(self, name: str) -> None:
        from pyarrow import fs

        if self._store.files.get_file_info(self._path(name)).type is fs.FileType.File:
            self._store.files.delete_file(self._path(name))


def place_name(url: str) -> str:
    """The one spelling of a place: a URL of a store, or an absolute path."""
    scheme = urlsplit(url).scheme
    if scheme in SCHEMES:
        return url.rstrip("/")
    if scheme and scheme != "file":
        raise StoreUnavailable(f"{url} is no place for files: write a folder, or s3://, gs:// or az://")
    return str(Path(unquote(urlsplit(url).path) if scheme == "file" else url).expanduser().absolute())


def open_place(url: str, environment: Mapping[str, str]) -> Place:
    """The place of a URL (s3://, gs://, az://, file://) or of a path; nothing is made or looked at yet."""
    name = place_name(url)
    if urlsplit(name).scheme not in SCHEMES:
        return _Folder(name)
    return _Prefix(name, open_object_store(url, environment))


class CountedBytes(io.RawIOBase):
    """Passes bytes on, and knows how many they were and their SHA-256."""

    def __init__(self, target: Writable) -> None:
        import hashlib

        self._target = target
        self._digest = hashlib.sha256()
        self.count = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any, /) -> int:
        """Take the bytes."""
        size = len(data)
        self._digest.update(data)
        self.count += size
        self._target.write(data)
        return size

    @property
    def sha256(self) -> str:
        """The digest of all bytes so far, in hexadecimal."""
        return self._digest.hexdigest()


def _incoming(name: str) -> str:
    folder, _, last = name.rpartition("/")
    return f"{folder}/.{last}.incoming" if folder else f".{last}.incoming"


def _sync_folder(folder: Path) -> None:
    """So that a power cut does not take the new name away."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

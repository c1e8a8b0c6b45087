"""A folder of this machine or a prefix of an object store, written to so that no reader ever sees half a file.

A file is written under a hidden name beside its own and moved there when it is complete. Closing the stream of an
object store publishes what was written so far, also when an exception or the interpreter's end closes it: that must
not happen under the name that readers look for.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import unquote, urlsplit

from iris_pipelines.storage.object_stores import SCHEMES, StoreUnavailable, open_object_store

if TYPE_CHECKING:
    from pyarrow import fs

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


class Place:
    """Where files of a kind are kept; names are relative to it, with slashes."""

    def __init__(self, url: str, files: fs.FileSystem, root: str, *, scheme: str | None) -> None:
        self.url = url
        self._files = files
        self._root = root
        self._scheme = scheme

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
            self._prepare(incoming)
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
                    self._files.delete_file(self._path(incoming))
                raise

    @contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes]]:
        """The bytes of a file."""
        with self._explained(name, "read"), self._files.open_input_stream(self._path(name)) as stream:
            yield cast("IO[bytes]", stream)

    def names(self, folder: str) -> list[str]:
        """The files under a folder of this place, hidden ones too; none where there is no such folder."""
        from pyarrow import fs

        selector = fs.FileSelector(self._path(folder), recursive=True, allow_not_found=True)
        with self._explained(folder, "listed"):
            found = self._files.get_file_info(selector)
        prefix = f"{self._root}/"
        return sorted(info.path.removeprefix(prefix) for info in found if info.type is fs.FileType.File)

    def delete(self, name: str) -> None:
        """Remove a file; one that is not there is as good as removed."""
        from pyarrow import fs

        with self._explained(name, "deleted"):
            if self._files.get_file_info(self._path(name)).type is fs.FileType.File:
                self._files.delete_file(self._path(name))

    def delete_others(self, folder: str, keep: str | None) -> list[str]:
        """Remove what lies in a folder beside one file: older versions, and what killed writers left."""
        others = [name for name in self.names(folder) if name != keep]
        for name in others:
            self.delete(name)
        return others

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}".rstrip("/")

    def _prepare(self, name: str) -> None:
        if self._scheme is None:
            Path(self._path(name)).parent.mkdir(parents=True, exist_ok=True)

    def _open(self, name: str) -> IO[bytes]:
        if self._scheme is None:
            return Path(self._path(name)).open("wb")
        return cast("IO[bytes]", self._files.open_output_stream(self._path(name)))

    def _flush(self, stream: IO[bytes]) -> None:
        if self._scheme is None:
            stream.flush()
            os.fsync(stream.fileno())

    def _publish(self, incoming: str, name: str) -> None:
        if self._scheme is None:
            Path(self._path(incoming)).replace(self._path(name))
            _sync_folder(Path(self._path(name)).parent)
            return
        size = self._files.get_file_info(self._path(incoming)).size or 0
        if self._scheme == "s3" and size > _S3_COPY_LIMIT:
            raise StoreUnavailable(
                f"{self.url_of(name)} would have {size:,} bytes, and S3 copies at most 5 GiB: "
                "set IRIS_EXPORT_COMPRESSION=zst"
            )
        self._files.copy_file(self._path(incoming), self._path(name))
        self._files.delete_file(self._path(incoming))

    @contextmanager
    def _explained(self, name: str, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise StoreUnavailable(f"{self.url_of(name)} cannot be {what}: it does not exist") from error
        except OSError as error:
            raise StoreUnavailable(f"{self.url_of(name)} cannot be {what}: {error}") from error


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
    from pyarrow import fs

    name = place_name(url)
    if urlsplit(name).scheme not in SCHEMES:
        return Place(name, fs.LocalFileSystem(), name, scheme=None)
    store = open_object_store(url, environment)
    return Place(name, store.files, store.path, scheme=store.scheme)


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

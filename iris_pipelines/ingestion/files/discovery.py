"""From what people name (files, folders, URLs) to the files to read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from typing import Protocol
from urllib.parse import unquote, urlsplit

from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.windows import EPOCH
from iris_pipelines.ingestion.files.copies import temporary_copy
from iris_pipelines.ingestion.files.errors import UnreadableFile
from iris_pipelines.ingestion.files.formats import format_of_name
from iris_pipelines.ingestion.files.stores import ObjectStoreFolder
from iris_pipelines.storage.object_stores import SCHEMES, StoreUnavailable


class StoredFile(Protocol):
    """A file that can be read, wherever it is stored."""

    @property
    def name(self) -> str:
        """Its absolute path or its URL."""

    @property
    def size(self) -> int:
        """Its bytes as stored."""

    @property
    def modified_at(self) -> datetime | None:
        """When it was last written, where the store knows."""

    def local_path(self) -> AbstractContextManager[Path]:
        """Where it can be read on this machine for as long as the context lasts."""

    def is_unchanged(self) -> bool:
        """Whether nobody has written to it since it was found."""


@dataclass(frozen=True)
class LocalFile:
    """A file, or a pipe, of this machine."""

    name: str
    size: int = 0
    modified_at: datetime | None = None

    @classmethod
    def at(cls, path: Path) -> LocalFile:
        """The file at a path; raises UnreadableFile if there is none."""
        name = os.path.abspath(path)  # noqa: PTH100 - a symbolic link keeps its own name
        try:
            found = path.stat()
        except OSError as error:
            raise UnreadableFile(name, f"cannot be read: {error.strerror}") from error
        return cls(name, found.st_size, EPOCH + timedelta(microseconds=found.st_mtime_ns // 1000))

    @contextmanager
    def local_path(self) -> Iterator[Path]:
        """The file itself; of a pipe, which can be read only once, a copy."""
        path = Path(self.name)
        try:
            if stat.S_ISREG(path.stat().st_mode):
                yield path
                return
            with path.open("rb") as pipe, temporary_copy(pipe, self.name) as copy:
                yield copy
        except OSError as error:
            raise UnreadableFile(self.name, f"cannot be read: {error.strerror or error}") from error

    def is_unchanged(self) -> bool:
        """Whether the file has the size and the time it was found with; a pipe was read to its end."""
        path = Path(self.name)
        try:
            return not stat.S_ISREG(path.stat().st_mode) or LocalFile.at(path) == self
        except (OSError, UnreadableFile):
            return False


@dataclass
class Found:
    """What the names stand for."""

    files: list[StoredFile] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """In folders: what has no suffix of event files, or a hidden name."""
    problems: list[IrisError] = field(default_factory=list)


def find_files(names: Iterable[str], environment: Mapping[str, str]) -> Found:
    """The files behind paths and URLs, each once, those of a folder by name; what cannot be found is a problem.

    `environment` holds the variables by which AWS, Google and Azure name their endpoints and accounts.
    """
    found = Found()
    for name in names:
        try:
            _add(found, name, environment)
        except (UnreadableFile, StoreUnavailable) as problem:
            found.problems.append(problem)
    found.files = list({file.name: file for file in found.files}.values())
    return found


def _add(found: Found, name: str, environment: Mapping[str, str]) -> None:
    if urlsplit(name).scheme in SCHEMES:
        folder = ObjectStoreFolder(name, environment)
        objects = folder.objects()
        if [each.name for each in objects] == [folder.url]:
            found.files.extend(objects)
        else:
            _add_folder(found, folder.url, objects)
        return
    path = local_path(name)
    if path.is_dir():
        _add_folder(found, str(path), local_files(path))
    else:
        found.files.append(LocalFile.at(path))


def _add_folder(found: Found, folder: str, files: Iterable[StoredFile]) -> None:
    wanted = []
    for file in files:
        if is_event_file(PurePath(file.name.removeprefix(folder))):
            wanted.append(file)
        else:
            found.skipped.append(file.name)
    if not wanted:
        raise UnreadableFile(folder, "holds no event files (.ndjson, .jsonl, .json, .csv, .parquet, also .gz or .zst)")
    found.files.extend(wanted)


def local_path(name: str) -> Path:
    """The path that a name or a file:// URL stands for; a dash is standard input."""
    if name == "-":
        return Path("/dev/stdin")
    parts = urlsplit(name)
    return Path(unquote(parts.path)) if parts.scheme == "file" else Path(name).expanduser()


def local_files(folder: Path) -> list[LocalFile]:
    """Every file under a folder, by name."""

    def refuse(error: OSError) -> None:
        raise UnreadableFile(str(error.filename or folder), f"cannot be read: {error.strerror}") from error

    found = []
    for parent, _, names in os.walk(os.path.abspath(folder), onerror=refuse):  # noqa: PTH100
        for name in names:
            path = Path(parent, name)
            try:
                found.append(LocalFile.at(path))
            except UnreadableFile:
                # It vanished, or is a link to nowhere: whoever asked for the folder did not ask for it by name.
                continue
    return sorted(found, key=lambda file: file.name)


def is_event_file(path: PurePath) -> bool:
    """Whether a file of a folder has the suffix of an event file, and neither it nor its folder a hidden name."""
    hidden = any(part.startswith((".", "_")) for part in path.parts)
    return not hidden and format_of_name(path.name) is not None

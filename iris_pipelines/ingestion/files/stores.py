"""Object stores by URL, through Arrow's file systems: `s3://`, `gs://` and `az://`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from iris_pipelines.domain.errors import IrisError
from iris_pipelines.ingestion.files.copies import temporary_copy
from iris_pipelines.ingestion.files.errors import UnreadableFile

if TYPE_CHECKING:
    from pyarrow import fs

SCHEMES = ("s3", "gs", "az")
_CONNECT_SECONDS = 10
_REQUEST_SECONDS = 60


class StoreUnavailable(IrisError):
    """An object store that cannot be used: it does not answer, refuses, or its URL is wrong."""


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
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES or not parts.netloc:
            raise StoreUnavailable(f"{url} is no address of a store: write s3://, gs:// or az://, a bucket, a prefix")
        self.url = url.rstrip("/")
        self._scheme = parts.scheme
        self._bucket = parts.netloc
        # A key may hold what is special in other URLs, such as a question mark.
        self._path = url.removeprefix(f"{parts.scheme}://").strip("/")
        try:
            self._store = _OPENERS[parts.scheme](parts.netloc, environment)
        except (OSError, ValueError, ImportError) as error:
            raise StoreUnavailable(f"{url} cannot be opened: {error}") from error

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


def _s3(bucket: str, environment: Mapping[str, str]) -> fs.FileSystem:
    """AWS's own variables hold keys, profile and region; Arrow does not look at the one for the endpoint."""
    from pyarrow import fs

    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not (endpoint or region):
        region = fs.resolve_s3_region(bucket)
    parts = urlsplit(endpoint or "")
    return fs.S3FileSystem(
        endpoint_override=parts.netloc or None,
        scheme="http" if parts.scheme == "http" else "https",
        region=region,
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_REQUEST_SECONDS,
    )


def _gs(_: str, environment: Mapping[str, str]) -> fs.FileSystem:
    from pyarrow import fs

    limit = timedelta(seconds=_REQUEST_SECONDS)
    emulator = environment.get("STORAGE_EMULATOR_HOST")
    if emulator:
        parts = urlsplit(emulator if "://" in emulator else f"http://{emulator}")
        return fs.GcsFileSystem(
            anonymous=True, endpoint_override=parts.netloc, scheme=parts.scheme, retry_time_limit=limit
        )
    return fs.GcsFileSystem(retry_time_limit=limit)


def _az(_: str, environment: Mapping[str, str]) -> fs.FileSystem:
    """The account from Azure's usual variables; without a key, Azure's default credentials are used."""
    from pyarrow import fs

    pairs = environment.get("AZURE_STORAGE_CONNECTION_STRING", "").split(";")
    settings = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    account = settings.get("AccountName") or environment.get("AZURE_STORAGE_ACCOUNT")
    if not account:
        raise ValueError("set AZURE_STORAGE_ACCOUNT, or AZURE_STORAGE_CONNECTION_STRING")
    key = settings.get("AccountKey") or environment.get("AZURE_STORAGE_KEY")
    token = environment.get("AZURE_STORAGE_SAS_TOKEN")
    endpoint = urlsplit(settings.get("BlobEndpoint", ""))
    if endpoint.netloc:
        return fs.AzureFileSystem(
            account,
            account_key=key,
            blob_storage_authority=endpoint.netloc,
            blob_storage_scheme=endpoint.scheme,  # type: ignore[call-arg] # the stubs have its old name
        )
    return fs.AzureFileSystem(account, account_key=key, sas_token=None if key else token)


_OPENERS = {"s3": _s3, "gs": _gs, "az": _az}

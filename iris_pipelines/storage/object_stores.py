"""Object stores by URL, through Arrow's file systems: `s3://`, `gs://` and `az://`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from iris_pipelines.domain.errors import IrisError

if TYPE_CHECKING:
    from pyarrow import fs

SCHEMES = ("s3", "gs", "az")
_CONNECT_SECONDS = 10
_REQUEST_SECONDS = 60


class StoreUnavailable(IrisError):
    """An object store that cannot be used: it does not answer, refuses, or its URL is wrong."""


@dataclass(frozen=True)
class ObjectStore:
    """An opened store, and where in it a URL leads."""

    scheme: str
    bucket: str
    path: str
    """The bucket, and the key or prefix."""
    files: fs.FileSystem


def open_object_store(url: str, environment: Mapping[str, str]) -> ObjectStore:
    """Open the store of a URL with the credentials that its own tools take from the environment."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.netloc:
        raise StoreUnavailable(f"{url} is no address of a store: write s3://, gs:// or az://, a bucket, a prefix")
    # A key may hold what is special in other URLs, such as a question mark.
    path = url.removeprefix(f"{parts.scheme}://").strip("/")
    try:
        files = _OPENERS[parts.scheme](parts.netloc, environment)
    except (OSError, ValueError, ImportError) as error:
        raise StoreUnavailable(f"{url} cannot be opened: {error}") from error
    return ObjectStore(parts.scheme, parts.netloc, path, files)


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
            # It is asked whether the account has folders, at an address of its own.
            dfs_storage_authority=endpoint.netloc,
            dfs_storage_scheme=endpoint.scheme,
        )
    return fs.AzureFileSystem(account, account_key=key, sas_token=None if key else token)


_OPENERS = {"s3": _s3, "gs": _gs, "az": _az}

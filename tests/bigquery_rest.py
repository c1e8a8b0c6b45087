"""A server on loopback that speaks as much of BigQuery's REST API as exports need, and misbehaves on demand.

What the emulator lacks: loads into `table$partition`, jobs that exist once for each id, datasets in a region, and
service accounts. It knows the statements of `exports.bigquery` by heart instead of SQL.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

REGION = "europe-west1"


class Refused(Exception):
    """An answer that is an error, as BigQuery gives it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.document = {"error": {"code": status, "message": message, "errors": [{"reason": reason}]}}


@dataclass
class BigQuery:
    """What is in the server, and what it is to do wrong."""

    url: str = ""
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    partitions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """The rows of each day, by `YYYYMMDD`."""
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    loads: list[str] = field(default_factory=list)
    """The ids of the jobs that loaded something."""
    asked: Counter[str] = field(default_factory=Counter)
    """How often what was asked for, by method and last part of the path."""
    refuse_tokens: bool = False
    failures: list[Refused] = field(default_factory=list)
    """What uploads are answered with, one after the other, before they succeed."""
    job_error: dict[str, str] | None = None
    """What becomes of load jobs."""
    forgets_answers: bool = False
    """Does the work, and breaks the connection instead of saying so."""

    def rows(self) -> list[dict[str, Any]]:
        """Every row, by day."""
        return [row for day in sorted(self.partitions) for row in self.partitions[day]]

    def insert_job(self, job: dict[str, Any], content: bytes) -> dict[str, Any]:
        """Run a load job, unless there is one with its id."""
        job_id = job["jobReference"]["jobId"]
        if job_id in self.jobs:
            raise Refused(409, "duplicate", f"Already Exists: Job {job_id}")
        load = job["configuration"]["load"]
        table, _, day = load["destinationTable"]["tableId"].partition("$")
        assert (table, load["writeDisposition"], load["sourceFormat"]) == (
            "events",
            "WRITE_TRUNCATE",
            "NEWLINE_DELIMITED_JSON",
        )
        status: dict[str, Any] = {"state": "DONE"}
        rows = [json.loads(line, parse_float=Decimal) for line in content.splitlines()]
        if self.job_error is not None:
            status = {**status, "errorResult": self.job_error, "errors": [self.job_error]}
        else:
            assert all(row["timestamp"].replace("-", "").startswith(day) for row in rows)
            self.partitions[day] = rows
            self.loads.append(job_id)
        reference = {**job["jobReference"], "location": REGION}
        self.jobs[job_id] = {
            **job,
            "kind": "bigquery#job",
            "jobReference": reference,
            "status": status,
            "statistics": {"load": {"outputRows": str(len(rows))}},
        }
        return self.jobs[job_id]

    def run(self, statement: str) -> dict[str, Any]:
        """The answer to one of the statements of `exports.bigquery`."""
        (start, _) = re.findall(r"timestamp '([^']+)'", statement)
        day = f"{datetime.fromisoformat(start):%Y%m%d}"
        if statement.startswith("delete"):
            self.partitions.pop(day, None)
            return {"schema": {"fields": []}, "rows": [], "totalRows": "0"}
        rows = self.partitions.get(day, [])
        found = (len(rows), sum(row["event_data"] is not None for row in rows), sum(map(_checksum, rows)))
        names = ("row_count", "with_data", "checksum")
        return {
            "schema": {"fields": [{"name": name, "type": "INTEGER"} for name in names]},
            "rows": [{"f": [{"v": str(each)} for each in found]}],
            "totalRows": "1",
        }


def _checksum(row: dict[str, Any]) -> int:
    """As the statement's own SQL has it: what is null is empty."""
    at = datetime.fromisoformat(row["timestamp"])
    micros = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    cost = "" if row["cost"] is None else str(int(Decimal(row["cost"]) * 1_000_000))
    texts = [row[name] or "" for name in ("message_id", "campaign_id", "contact_id", "channel", "provider")]
    duration = "" if row["duration_ms"] is None else str(row["duration_ms"])
    success = {True: "true", False: "false", None: ""}[row["success"]]
    whole = "|".join([row["id"], row["tenant_id"], row["event_type"], str(micros), *texts, cost, duration, success])
    return int(hashlib.md5(whole.encode(), usedforsecurity=False).hexdigest()[:8], 16)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - it is called so
        """Quiet."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        state = self.server.state
        parts = urlsplit(self.path)
        state.asked[f"{self.command} {parts.path.rsplit('/', 1)[-1]}"] += 1
        try:
            document, headers = self._route(state, parts.path, parse_qs(parts.query), body)
        except Refused as refused:
            self._send(refused.status, refused.document, {})
            return
        if state.forgets_answers and self.command == "PUT":
            self.close_connection = True
            return
        self._send(200, document, headers)

    def _route(
        self, state: BigQuery, path: str, query: dict[str, list[str]], body: bytes
    ) -> tuple[dict[str, Any], dict[str, str]]:
        if path == "/token":
            if state.refuse_tokens:
                raise Refused(401, "invalid_grant", "Invalid JWT Signature.")
            return {"access_token": "let me in", "expires_in": 3600, "token_type": "Bearer"}, {}
        if self.headers.get("Authorization") != "Bearer let me in":
            raise Refused(401, "authError", "Request had invalid authentication credentials.")
        if path.endswith(("/datasets", "/tables", "/tables/events")):
            return self._made(state, path, body), {}
        if "upload" in path:
            return self._uploaded(state, path, body)
        if self.command == "POST":
            job = json.loads(body)
            reference = {**job["jobReference"], "location": REGION}
            state.jobs[reference["jobId"]] = {**job, "jobReference": reference, "status": {"state": "DONE"}}
            return state.jobs[reference["jobId"]], {}
        return self._job(state, path, query), {}

    def _made(self, state: BigQuery, path: str, body: bytes) -> dict[str, Any]:
        if path.endswith("/datasets"):
            return {"datasetReference": json.loads(body)["datasetReference"], "location": REGION}
        if self.command == "GET":
            return state.tables["events"]
        table: dict[str, Any] = json.loads(body)
        if table["tableReference"]["tableId"] in state.tables:
            raise Refused(409, "duplicate", "Already Exists: Table")
        state.tables[table["tableReference"]["tableId"]] = table
        return table

    def _uploaded(self, state: BigQuery, path: str, body: bytes) -> tuple[dict[str, Any], dict[str, str]]:
        """The job comes first, then its content."""
        if self.command == "POST":
            self.server.uploads.append(json.loads(body))
            return {}, {"Location": f"{state.url}/upload/{len(self.server.uploads) - 1}"}
        if state.failures:
            raise state.failures.pop(0)
        return state.insert_job(self.server.uploads[int(path.rsplit("/", 1)[1])], body), {}

    def _job(self, state: BigQuery, path: str, query: dict[str, list[str]]) -> dict[str, Any]:
        job_id = path.rsplit("/", 1)[1]
        # Outside of the two multi-regions, a job is found by who says where it runs.
        if job_id not in state.jobs or query.get("location") != [REGION]:
            raise Refused(404, "notFound", f"Not found: Job {job_id}")
        found = state.jobs[job_id]
        if "/queries/" in path:
            answer = state.run(found["configuration"]["query"]["query"].strip())
            return {"jobComplete": True, "jobReference": found["jobReference"], **answer}
        return found

    def _send(self, status: int, document: dict[str, Any], headers: dict[str, str]) -> None:
        content = json.dumps(document, default=str).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, state: BigQuery) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state
        self.uploads: list[dict[str, Any]] = []


@contextmanager
def bigquery_server() -> Iterator[BigQuery]:
    """An empty server."""
    state = BigQuery()
    server = _Server(state)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def service_account(state: BigQuery, file: Path) -> None:
    """Write the key of a service account whose tokens the server gives."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    document = {
        "type": "service_account",
        "project_id": "iris-test",
        "client_email": "iris@iris-test.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "token_uri": f"{state.url}/token",
    }
    file.write_text(json.dumps(document))

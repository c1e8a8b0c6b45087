"""dbt in this process: the project is parsed once, and every build after that costs tens of milliseconds.

`dagster-dbt` runs dbt as a child process, which costs 8 s a run. Here dbt's own `dbtRunner` builds with a prepared
manifest, and dagster-dbt only translates what dbt reports, so that Dagster shows the same events, checks and metadata.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.conninfo import conninfo_to_dict

from iris_pipelines.db.embedded import DATABASE
from iris_pipelines.domain.errors import IrisError

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

PROJECT_FOLDER = Path(__file__).parents[2] / "dbt_project"
_GENERATED = {"target", "logs", "dbt_packages"}
# dbt keeps its configuration and its adapters in globals: one build at a time in a process.
_one_at_a_time = threading.Lock()


class DbtError(IrisError):
    """dbt could not parse or build; the message is dbt's own."""


@dataclass(frozen=True)
class DbtBuild:
    """What one invocation of dbt did: its result events as dbt logs them, and what failed."""

    events: Sequence[Mapping[str, Any]]
    failures: Sequence[str]

    def raise_failures(self) -> None:
        """Raise DbtError if anything failed."""
        if self.failures:
            raise DbtError("; ".join(self.failures))


class DbtProject:
    """The project in `folder`, for one database by name; `state` keeps the parsed manifest between processes.

    dbt writes the name of the database into what it parses, but not where its server is.
    """

    def __init__(self, state: Path, *, database: str = DATABASE, folder: Path = PROJECT_FOLDER) -> None:
        self.folder = folder
        self.state = state
        self.database = database
        self._parsed: Manifest | None = None
        self._manifest: tuple[str, Mapping[str, Any]] | None = None

    def manifest(self) -> Mapping[str, Any]:
        """The manifest as JSON, made anew when a file of the project has changed since."""
        with self._lock():
            fingerprint = self._fingerprint()
            if not self._is_fresh(fingerprint):
                self._parse()
            # Reading it takes as long as a model does, and a rebuild asks for it at every step.
            if self._manifest is None or self._manifest[0] != fingerprint:
                self._manifest = fingerprint, json.loads((self.state / "manifest.json").read_bytes())
            return self._manifest[1]

    def build(
        self,
        url: str,
        select: Sequence[str],
        *,
        rebuild_id: UUID | None = None,
        every_campaign: bool = False,
        command: str = "build",
    ) -> DbtBuild:
        """Build what `select` names, with its tests; `rebuild_id` names the windows of `iris.rebuild_windows`.

        Of models of campaigns, what is stale is replaced, or `every_campaign`.
        """
        from google.protobuf.json_format import MessageToDict

        reported: list[Mapping[str, Any]] = []

        def collect(message: Any) -> None:
            if message.info.name in ("LogModelResult", "LogTestResult", "LogSeedResult"):
                # Unlike the rest of protobuf, this function has no annotations.
                as_dict = MessageToDict(message, preserving_proto_field_name=True)  # type: ignore[no-untyped-call]
                reported.append(as_dict)

        with _one_at_a_time, self._scratch() as target:
            self._ensure_loaded()
            arguments = [command, "--select", *select, "--target-path", str(target), "--no-write-json"]
            if rebuild_id is not None:
                # What dbt looks up of all relations beforehand is for views; our materializations do without.
                arguments += ["--no-populate-cache"]
            if command == "build":
                arguments += ["--exclude-resource-type", "unit_test"]
            environment = _environment(url, rebuild_id, every_campaign=every_campaign)
            result = self._invoke(arguments, environment, callbacks=[collect])
        return DbtBuild(reported, _failures(result))

    def compiled_models(self) -> Mapping[str, str]:
        """The SQL of each model by its id, as it would run without a rebuild's windows; asks no server."""
        with _one_at_a_time, self._scratch() as target:
            self._ensure_loaded()
            arguments = ["compile", "--select", "resource_type:model", "--indirect-selection", "empty"]
            arguments += ["--target-path", str(target), "--no-write-json", "--no-introspect", "--no-populate-cache"]
            result = self._invoke(arguments, {"IRIS_REBUILD_ID": ""})
        if failures := _failures(result):
            raise DbtError("; ".join(failures))
        return {each.node.unique_id: each.node.compiled_code for each in result.result.results}

    def _ensure_loaded(self) -> None:
        if self._parsed is None:
            with self._lock():
                self._load()

    def _load(self) -> None:
        """What an earlier process parsed, if the project is still the same: reading it takes a tenth of parsing."""
        from dbt.contracts.graph.manifest import Manifest
        from dbt.parser.manifest import extended_mashumuro_decoder

        packed = self.state / "partial_parse.msgpack"
        if not (self._is_fresh(self._fingerprint()) and packed.exists()):
            self._parse()
            return
        self._parsed = Manifest.from_msgpack(packed.read_bytes(), decoder=extended_mashumuro_decoder)
        self._parsed.build_flat_graph()  # type: ignore[no-untyped-call]

    def _parse(self) -> None:
        fingerprint = self._fingerprint()
        result = self._invoke(["parse", "--target-path", str(self.state)], {"PGDATABASE": self.database})
        if not result.success:
            raise DbtError(f"dbt could not parse {self.folder}: {result.exception}")
        self._parsed = result.result
        (self.state / "fingerprint").write_text(fingerprint)

    def _invoke(self, arguments: list[str], environment: Mapping[str, str], callbacks: Sequence[Any] = ()) -> Any:
        from dbt.cli.main import dbtRunner
        from dbt_common.behavior_flags import BehaviorFlagRendered

        # For a label in its logs, dbt searches every loaded module for the caller of each of its flags: half a second
        # a build, in a process as large as Dagster's.
        BehaviorFlagRendered._default_source = staticmethod(lambda: "dbt")  # type: ignore[method-assign]
        places = ["--project-dir", str(self.folder), "--profiles-dir", str(self.folder)]
        quiet = ["--log-level", "none", "--log-level-file", "none", "--log-path", str(self.state), "--no-use-colors"]
        with _environ({**environment, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}):
            runner = dbtRunner(manifest=self._parsed, callbacks=list(callbacks))
            return runner.invoke([*arguments, *places, *quiet])

    def _is_fresh(self, fingerprint: str) -> bool:
        try:
            return (self.state / "fingerprint").read_text() == fingerprint
        except FileNotFoundError:
            return False

    def _fingerprint(self) -> str:
        """Changes with every edit, addition and removal of a file of the project."""
        digest = hashlib.sha256(self.database.encode())
        for path in sorted(self.folder.rglob("*")):
            relative = path.relative_to(self.folder)
            if path.is_file() and relative.parts[0] not in _GENERATED:
                facts = path.stat()
                digest.update(f"{relative}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Processes that start together parse once, and none reads a manifest that another is writing."""
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A folder for what one build compiles: dbt would leave one behind for every run."""
        self.state.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="build-", dir=self.state))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def connection_environment(url: str) -> dict[str, str]:
    """The libpq variables that `profiles.yml` reads, from a URL."""
    parts = conninfo_to_dict(url)
    return {
        "PGHOST": str(parts.get("host", "localhost")),
        "PGPORT": str(parts.get("port", 5432)),
        "PGUSER": str(parts.get("user", "")),
        "PGPASSWORD": str(parts.get("password", "")),
        "PGDATABASE": str(parts.get("dbname", "")),
    }


def _environment(url: str, rebuild_id: UUID | None, *, every_campaign: bool) -> dict[str, str]:
    environment = connection_environment(url)
    if rebuild_id is not None:
        environment["IRIS_REBUILD_ID"] = str(rebuild_id)
    if every_campaign:
        environment["IRIS_REBUILD_EVERY_CAMPAIGN"] = "yes"
    return environment


@contextmanager
def _environ(variables: Mapping[str, str]) -> Iterator[None]:
    """Set these variables for a while: dbt reads its connection and its windows from the environment."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _failures(result: Any) -> list[str]:
    """A sentence for each node that failed; skipped ones only follow from these."""
    if result.success:
        return []
    if result.exception is not None:
        return [str(result.exception)]
    return [
        f"{each.node.name}: {(each.message or each.status).strip()}"
        for each in result.result.results
        if each.status in ("error", "fail", "runtime error")
    ]

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from iris_pipelines.cli import main

TENANT = "9c4fb7e0-7d0f-4f7e-8c33-1a4e1f5b7a10"


class Finished:
    """How a command ended, and what it said."""

    def __init__(self, code: int, out: str, error: str) -> None:
        self.code = code
        self.out = out
        self.error = error

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


Iris = Callable[..., Finished]


@pytest.fixture
def iris(database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iris:
    monkeypatch.setenv("IRIS_DATABASE_URL", database_url)

    def run(*arguments: str | Path) -> Finished:
        monkeypatch.setattr("sys.argv", ["iris", *map(str, arguments)])
        try:
            main()
            code: Any = 0
        except SystemExit as ended:
            code = ended.code
        out, error = capsys.readouterr()
        return Finished(code or 0, out, error)

    return run


def write(path: Path, *events: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in events))
    return path


def event(**fields: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "tenant_id": TENANT,
        "event_type": "message.sent",
        "timestamp": "2026-11-02T10:00:00Z",
        **fields,
    }


def test_what_became_of_the_events_is_printed_and_rejects_are_no_failure(iris: Iris, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", event(), event(channel="fax"))
    done = iris("ingest", path, "--create-tenants")
    assert (done.code, done.error) == (0, "")
    assert f"{path}: loaded, received 2, accepted 1, duplicates 0, rejected 1" in done.out
    assert "1 unknown_channel, first in line 2: channel is 'fax'" in done.out
    assert "run `iris replay`" in done.out


def test_strict_makes_rejects_a_failure(iris: Iris, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", event())
    done = iris("ingest", "--strict", path)
    assert done.code == 1
    assert "1 events were rejected, and --strict was given" in done.error
    assert iris("ingest", "--strict", "--create-tenants", path).code == 0


def test_one_bad_file_makes_the_exit_code_1_and_the_others_are_loaded(iris: Iris, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("tenant_id;event_type;timestamp\n")
    good = write(tmp_path / "good.ndjson", event())
    done = iris("ingest", "--create-tenants", tmp_path / "missing", bad, good)
    assert done.code == 1
    assert f"{tmp_path}/missing: cannot be read: No such file or directory" in done.error
    assert "but semicolons: write the file with commas" in done.error
    assert "not every file could be read" in done.error
    assert f"{good}: loaded, received 1, accepted 1" in done.out


def test_machines_get_one_document_with_totals_and_files(iris: Iris, tmp_path: Path) -> None:
    write(tmp_path / "a.ndjson", event(), event())
    write(tmp_path / "b.ndjson", event())
    (tmp_path / "notes.txt").touch()
    arguments = ("ingest", "--create-tenants", "--json", tmp_path)
    first, second = iris(*arguments).document, iris(*arguments).document

    totals = ("received", "accepted", "duplicates", "rejected")
    assert [first[name] for name in totals] == [3, 3, 0, 0]
    assert [second[name] for name in totals] == [3, 0, 3, 0]
    assert [(each["file"], each["outcome"], each["accepted"]) for each in first["files"]] == [
        (str(tmp_path / "a.ndjson"), "loaded", 2),
        (str(tmp_path / "b.ndjson"), "loaded", 1),
    ]
    assert [each["outcome"] for each in second["files"]] == ["already loaded"] * 2
    assert first["skipped"] == [str(tmp_path / "notes.txt")]
    assert first["problems"] == []


def test_many_skipped_files_are_named_in_part(iris: Iris, tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.txt").touch()
    write(tmp_path / "a.ndjson", event())
    done = iris("ingest", "--create-tenants", tmp_path)
    assert done.code == 0
    assert done.error.count("no event file\n") == 10
    assert "skipped 20 more" in done.error


def test_no_file_is_wrong_usage(iris: Iris) -> None:
    assert iris("ingest").code == 2


def test_records_of_the_platform_are_loaded_or_refused_as_a_whole(iris: Iris, tmp_path: Path) -> None:
    iris("tenants", "create", "Acme", "--id", TENANT)
    good = write(tmp_path / "good.ndjson", {"tenant_id": TENANT, "id": str(uuid4()), "name": "Spring"})
    bad = write(tmp_path / "bad.ndjson", {"tenant_id": TENANT, "name": "Spring"})

    done = iris("load", "campaigns", good)
    assert (done.code, done.out) == (0, f"{good}: 1 campaigns, 1 added, 0 changed, 0 as they were\n")
    assert iris("load", "campaigns", good, "--json").document == {
        "file": str(good),
        "received": 1,
        "added": 0,
        "changed": 0,
        "unchanged": 1,
    }
    done = iris("load", "campaigns", bad)
    assert (done.code, done.out) == (1, "")
    assert f"{bad}, line 1: column id is missing; nothing was loaded" in done.error
    assert iris("load", "messages", tmp_path / "missing").code == 1
    assert iris("load", "tenants", good).code == 2

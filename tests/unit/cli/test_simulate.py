import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iris_pipelines.cli import app, main

SMALL = ["--days", "1", "--tenants", "2", "--events-per-day", "300", "--until", "2026-11-02"]


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["simulate", *arguments])
    return result.exit_code, result.output


def test_files_are_written_and_counted(tmp_path: Path) -> None:
    code, output = run(*SMALL, "--out", str(tmp_path / "out"), "--json")
    assert code == 0
    document = json.loads(output)
    assert document["start"] == "2026-11-01T00:00:00+00:00"
    assert document["end"] == "2026-11-02T00:00:00+00:00"
    assert document["received"] == document["accepted"] + document["duplicates"] + document["rejected"] > 100
    assert [path.name for path in (tmp_path / "out" / "events").iterdir()] == ["events_2026-11-01.ndjson.gz"]


def test_parquet_is_compressed_inside(tmp_path: Path) -> None:
    code, output = run(*SMALL, "--out", str(tmp_path / "out"), "--format", "parquet")
    assert code == 0
    assert "events in 1 files" in output
    assert [path.name for path in (tmp_path / "out" / "events").iterdir()] == ["events_2026-11-01.parquet"]


def test_without_an_end_the_traffic_ends_with_the_running_hour(tmp_path: Path) -> None:
    for name in ("one", "two"):
        code, _ = run("--days", "1", "--tenants", "1", "--events-per-day", "50", "--out", str(tmp_path / name))
        assert code == 0
    plan = json.loads((tmp_path / "one" / "manifest.json").read_text())["plan"]
    assert plan["end"].endswith(":00:00+00:00")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "either --out DIR or --load"),
        (["--load", "--out", "x"], "either --out DIR or --load"),
        (["--load", "--format", "csv"], "go with --out"),
        (["--out", "x", "--format", "xml"], "--format is ndjson, parquet or csv"),
        (["--out", "x", "--compression", "rar"], "--compression gz, zst or none"),
        (["--out", "x", "--until", "soon"], "expected a day such as 2026-11-02"),
        (["--out", "x", "--days", "0"], "--days"),
        (["--out", "x", "--tenants", "0"], "--tenants"),
        (["--out", "x", "--late", "0.7"], "--late"),
    ],
)
def test_wrong_usage_is_said_and_exits_with_2(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, output = run(*arguments)
    assert code == 2
    assert said in output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_files_is_a_problem_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    monkeypatch.setattr("sys.argv", ["iris", "simulate", *SMALL, "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "mine.txt" in said
    assert "Traceback" not in said

import os
import threading
from pathlib import Path

import pytest

from iris_pipelines.ingestion.files.discovery import LocalFile, find_files


def names(root: Path, found: list[str]) -> list[str]:
    return [str(Path(name).relative_to(root)) for name in found]


def test_a_folder_gives_its_event_files_by_name_and_names_the_others(tmp_path: Path) -> None:
    for name in (
        "b.ndjson",
        "a/c.csv.gz",
        "a/B.JSON",
        "x.parquet",
        "y.jsonl.zst",
        "notes.txt",
        "z.ndjson.tmp",
        "gz.gz",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for hidden in (".git/a.ndjson", "_temporary/a.ndjson", "a/.b.ndjson"):
        (tmp_path / hidden).parent.mkdir(exist_ok=True)
        (tmp_path / hidden).touch()
    (tmp_path / "nowhere.ndjson").symlink_to(tmp_path / "missing")

    found = find_files([str(tmp_path)], {})

    assert names(tmp_path, [file.name for file in found.files]) == [
        "a/B.JSON",
        "a/c.csv.gz",
        "b.ndjson",
        "x.parquet",
        "y.jsonl.zst",
    ]
    assert names(tmp_path, found.skipped) == [
        ".git/a.ndjson",
        "_temporary/a.ndjson",
        "a/.b.ndjson",
        "gz.gz",
        "notes.txt",
        "z.ndjson.tmp",
    ]
    assert found.problems == []


def test_a_file_named_by_hand_is_taken_whatever_its_name_and_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "upload").touch()
    (tmp_path / "%20 #1.csv").touch()
    monkeypatch.chdir(tmp_path)
    found = find_files(["upload", str(tmp_path / "upload"), f"file://{tmp_path}/upload", "%20 #1.csv"], {})
    assert names(tmp_path, [file.name for file in found.files]) == ["upload", "%20 #1.csv"]


def test_what_cannot_be_found_is_a_problem_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.ndjson").touch()
    found = find_files([str(tmp_path / name) for name in ("missing.ndjson", "empty", "a.ndjson")], {})
    assert [str(problem) for problem in found.problems] == [
        f"{tmp_path}/missing.ndjson: cannot be read: No such file or directory",
        f"{tmp_path}/empty: holds no event files (.ndjson, .jsonl, .json, .csv, .parquet, also .gz or .zst)",
    ]
    assert names(tmp_path, [file.name for file in found.files]) == ["a.ndjson"]


def test_a_file_is_unchanged_until_somebody_writes_to_it(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"{}\n")
    file = LocalFile.at(path)
    assert file.is_unchanged()
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))
    assert not file.is_unchanged()
    path.unlink()
    assert not file.is_unchanged()


def test_a_pipe_is_read_once_into_a_copy(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    file = LocalFile.at(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"{}\n",))
    writer.start()
    with file.local_path() as path:
        assert path.read_bytes() == b"{}\n"
        assert path != pipe
    writer.join()
    assert file.is_unchanged()

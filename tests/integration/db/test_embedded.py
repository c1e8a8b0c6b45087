"""The embedded server in trouble: who starts it, who kills it, where it lies and what lies there already."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import psycopg
import pytest

from iris_pipelines.db import embedded
from iris_pipelines.db.embedded import EmbeddedServer, EmbeddedServerError
from tests.commands import eventually, finished, python, started
from tests.servers import is_alive, killed

# What a program does that needs the database; it ends when its standard input does.
USE_SERVER = """
import sys
from pathlib import Path
from iris_pipelines.db import embedded
from iris_pipelines.db.embedded import EmbeddedServer
sys.stdin.readline()
print(EmbeddedServer(Path(sys.argv[1]), settings={"shared_buffers": "16MB", "fsync": "off"}).start(), flush=True)
sys.stdin.readline()
"""
SLEEP_IN_TRANSACTION = """
import sys
import psycopg
sys.stdin.readline()
with psycopg.connect(sys.argv[1]) as connection:
    connection.execute("insert into kept values (1)")
    connection.execute("select pg_sleep(3600)")
"""
NOBODY = 65534
NAMELESS = 4_321_000
SMALL = {"shared_buffers": "16MB", "fsync": "off"}


@pytest.fixture(scope="module")
def used_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that has run before and does not run now."""
    server = EmbeddedServer(tmp_path_factory.mktemp("used") / "postgres", settings=SMALL)
    server.start()
    server.stop()
    return server.folder


@pytest.fixture
def server(used_folder: Path, tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of the test's own with its data, not running yet."""
    shutil.copytree(used_folder, tmp_path / "postgres")
    server = EmbeddedServer(tmp_path / "postgres", settings=SMALL)
    yield server
    server.stop()


@pytest.fixture
def fresh(server: EmbeddedServer) -> EmbeddedServer:
    """A server that has no data yet."""
    shutil.rmtree(server.folder)
    return server


def answer(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select 42").fetchone()
    assert row is not None
    return int(row[0])


def test_processes_that_start_it_at_once_share_one_server(fresh: EmbeddedServer) -> None:
    with ExitStack() as stack:
        children = [stack.enter_context(started(python("-c", USE_SERVER, fresh.folder))) for _ in range(3)]
        for child in children:
            child.say("go")
        urls = {child.heard() for child in children}
        assert urls == {fresh.url()}
        assert [answer(url) for url in urls] == [42]
        assert server_processes(fresh) == [fresh.pid()]


def server_processes(server: EmbeddedServer) -> list[int]:
    """The postmasters that stand in the data folder."""
    processes = psutil.process_iter(["pid", "ppid", "cwd"])
    family = {each.info["pid"]: each.info["ppid"] for each in processes if each.info["cwd"] == str(server.data)}
    return [pid for pid, parent in family.items() if parent not in family]


def test_it_survives_the_process_that_started_it(server: EmbeddedServer) -> None:
    with started(python("-c", USE_SERVER, server.folder)) as child:
        child.say("go")
        url = child.heard()
        os.killpg(child.pid, signal.SIGKILL)
        assert child.finished().code == -signal.SIGKILL
    assert server.start() == url
    assert answer(url) == 42


def test_it_starts_again_after_a_kill_that_left_its_pid_file(server: EmbeddedServer) -> None:
    url = server.start()
    pid = killed(server)
    assert (server.data / "postmaster.pid").read_text().startswith(f"{pid}\n")
    assert server.url() is None
    assert server.start() == url
    assert answer(url) == 42


def test_a_pid_file_that_names_somebody_else_s_server_harms_neither(server: EmbeddedServer, tmp_path: Path) -> None:
    server.start()
    killed(server)
    other = EmbeddedServer(tmp_path / "other", settings=SMALL)
    other_url = other.start()
    try:
        # Process ids are used again: after a crash, ours may be that of any program, also of another PostgreSQL.
        lines = (server.data / "postmaster.pid").read_text().split("\n")
        (server.data / "postmaster.pid").write_text("\n".join([str(other.pid()), *lines[1:]]))

        assert server.pid() is None
        assert not server.stop()
        assert answer(other_url) == 42
    finally:
        other.stop()
    assert answer(server.start()) == 42


def test_files_of_others_in_its_folder_are_refused_and_kept(fresh: EmbeddedServer) -> None:
    fresh.data.mkdir(parents=True)
    (fresh.data / "thesis.txt").write_text("years of work")
    with pytest.raises(EmbeddedServerError, match=r"holds files but no PostgreSQL data: move them away"):
        fresh.start()
    assert [path.name for path in fresh.data.iterdir()] == ["thesis.txt"]


def test_data_of_another_major_version_is_refused_and_kept(server: EmbeddedServer) -> None:
    (server.data / "PG_VERSION").write_text("14\n")
    with pytest.raises(EmbeddedServerError, match=r"made by PostgreSQL 14, and this is PostgreSQL \d\d: dump it"):
        server.start()
    (server.data / "PG_VERSION").write_text("18\n")
    assert answer(server.start()) == 42


def test_a_lost_password_is_named_as_such(server: EmbeddedServer) -> None:
    (server.folder / "access.json").rename(server.folder / "kept.json")
    with pytest.raises(EmbeddedServerError, match=r"access\.json is missing, so the password of .* is unknown"):
        server.start()
    (server.folder / "access.json").write_text('{"port": 2')
    with pytest.raises(EmbeddedServerError, match=r"access\.json is no longer readable"):
        server.start()
    (server.folder / "kept.json").rename(server.folder / "access.json")
    assert answer(server.start()) == 42


def test_a_kill_while_the_data_folder_is_made_leaves_nothing_in_the_way(fresh: EmbeddedServer) -> None:
    with started(python("-c", USE_SERVER, fresh.folder)) as child:
        child.say("go")
        eventually((fresh.folder / "data.new" / "base").exists, "the folder under construction")
        os.killpg(child.pid, signal.SIGKILL)
        child.finished()
    assert not fresh.data.exists()
    assert answer(fresh.start()) == 42
    assert sorted(path.name for path in fresh.folder.iterdir()) == ["access.json", "data", "lock", "server.log"]


def test_another_port_is_taken_when_somebody_sits_on_its_own(server: EmbeddedServer) -> None:
    port = json.loads((server.folder / "access.json").read_text())["port"]
    with socket.create_server(("127.0.0.1", port)):
        url = server.start()
        assert f":{port}/" not in url
        assert answer(url) == 42
    assert server.start() == url


def test_only_its_user_reads_its_password_and_nobody_enters_without(server: EmbeddedServer) -> None:
    url = server.start()
    assert (server.folder / "access.json").stat().st_mode & 0o077 == 0
    assert not (server.folder / "password.new").exists()
    head, _, tail = url.partition("@")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"{head.rsplit(':', 1)[0]}:wrong@{tail}")


@pytest.mark.parametrize(
    "name", ["two words", "Zoë's größter Ordner", '€ and $HOME `x` "y"', "/".join(["n" * 160] * 4)]
)
def test_its_folder_may_have_any_name(name: str, tmp_path: Path, fresh: EmbeddedServer) -> None:
    named = EmbeddedServer(tmp_path / name / "postgres", settings=SMALL)
    try:
        assert answer(named.start()) == 42
        assert named.pid() is not None
    finally:
        assert named.stop()


def test_root_without_namespaces_runs_it_as_another_user_or_says_what_to_do(
    fresh: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may not run PostgreSQL")
    monkeypatch.setattr(embedded, "_NAMESPACE", ("false",))
    embedded._as_server_user.cache_clear()
    try:
        assert answer(fresh.start()) == 42
        assert fresh.data.stat().st_uid == NOBODY
        monkeypatch.setattr(embedded, "_OTHER_USER", ("no-such-program",))
        embedded._as_server_user.cache_clear()
        with pytest.raises(EmbeddedServerError, match=r"run iris as an ordinary user, or set IRIS_DATABASE_URL"):
            EmbeddedServer(tmp_path / "other").start()
    finally:
        embedded._as_server_user.cache_clear()


def test_a_path_that_is_too_long_for_postgresql_is_refused_with_a_reason(
    tmp_path: Path, server: EmbeddedServer
) -> None:
    deep = tmp_path.joinpath(*["d" * 200] * 5)
    with pytest.raises(EmbeddedServerError, match=r"is too long for PostgreSQL.*set IRIS_HOME"):
        EmbeddedServer(deep / "postgres").start()
    assert not deep.exists()


def test_a_file_where_its_folder_should_be_is_named(tmp_path: Path, server: EmbeddedServer) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedServerError, match=r"cannot use .*/file/postgres: Not a directory; set IRIS_HOME"):
        EmbeddedServer(tmp_path / "file" / "postgres").start()


def test_programs_that_are_not_there_are_named(tmp_path: Path, server: EmbeddedServer) -> None:
    with pytest.raises(EmbeddedServerError, match=r"no PostgreSQL program 'postgres' found.*IRIS_PG_BINDIR"):
        EmbeddedServer(tmp_path / "postgres", bindir=tmp_path).start()


def test_a_server_that_does_not_start_shows_its_own_reason(server: EmbeddedServer) -> None:
    (server.data / "global" / "pg_control").rename(server.data / "global" / "moved")
    with pytest.raises(EmbeddedServerError, match=r"PostgreSQL did not start: .*pg_control.*see .*server\.log"):
        server.start()


def test_it_stops_under_its_clients_and_says_whether_there_was_something_to_stop(server: EmbeddedServer) -> None:
    url = server.start()
    pid = server.pid()
    assert pid is not None
    with psycopg.connect(url, autocommit=True) as observer, started(python("-c", SLEEP_IN_TRANSACTION, url)) as client:
        observer.execute("create table kept (n int)")
        client.say("go")
        eventually(
            lambda: observer.execute("select 1 from pg_stat_activity where wait_event = 'PgSleep'").fetchone(),
            "the client's statement under way",
        )
        assert server.stop()
        assert not is_alive(pid)
        ended = client.finished()
    assert (ended.code, "terminating connection due to administrator command" in ended.error) == (1, True)
    assert not server.stop()
    with psycopg.connect(server.start()) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)


@pytest.fixture
def folder_of_nobody() -> Iterator[Path]:
    """A folder that belongs to the user `nobody`, at a place that everybody can reach."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user; every other test here runs as an ordinary one already")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv, which would make us another user, is not installed")
    folder = Path(tempfile.mkdtemp(prefix="iris-nobody-"))
    os.chown(folder, NOBODY, NOBODY)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def as_nobody(*command: str | Path) -> list[str | Path]:
    """The command as an ordinary user; it may read what it likes, for the interpreter may lie under /root."""
    identity = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    reading = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    return ["setpriv", *identity, *reading, "--", *command]


def test_an_ordinary_user_starts_it_without_a_namespace(folder_of_nobody: Path, server: EmbeddedServer) -> None:
    own = EmbeddedServer(folder_of_nobody / "postgres")
    try:
        with started(as_nobody(*python("-c", USE_SERVER, own.folder))) as child:
            child.say("go")
            url = child.heard()
            assert answer(url) == 42
            pid = own.pid()
            assert pid is not None
            assert psutil.Process(pid).uids().effective == NOBODY
            assert own.data.stat().st_uid == NOBODY
    finally:
        own.stop()


def test_a_user_without_a_name_runs_it_as_one_with_a_name_or_is_told_what_to_do(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespaces = shutil.which("unshare") is not None
    monkeypatch.setattr(os, "geteuid", lambda: NAMELESS)
    embedded._as_server_user.cache_clear()
    if namespaces:
        assert embedded._as_server_user() == embedded._NAMESPACE
        embedded._as_server_user.cache_clear()
    monkeypatch.setattr(embedded, "_NAMESPACE", ("false",))
    with pytest.raises(EmbeddedServerError, match=f"gives user {NAMELESS} neither a name nor a user namespace"):
        embedded._as_server_user()
    # The control: whoever has a name needs nothing.
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    assert embedded._as_server_user() == ()
    embedded._as_server_user.cache_clear()


def test_a_folder_of_somebody_else_is_refused_with_a_reason(folder_of_nobody: Path, server: EmbeddedServer) -> None:
    private = folder_of_nobody / "private"
    shutil.copytree(server.folder, private)
    os.chown(folder_of_nobody, 0, 0)
    for home in (folder_of_nobody / "absent" / "postgres", private):
        done = finished(as_nobody(*python("-c", USE_SERVER, home)))
        assert done.code == 1
        assert f"EmbeddedServerError: cannot use {home}: Permission denied; set IRIS_HOME" in done.error


def test_an_unreadable_data_folder_is_refused_with_a_reason(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What root may always do, an ordinary user's system refuses."""

    def refuse(path: Path, *_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    with (
        monkeypatch.context() as patched,
        pytest.raises(EmbeddedServerError, match=r"cannot use .*: Permission denied"),
    ):
        patched.setattr(Path, "read_text", refuse)
        server.start()
    assert answer(server.start()) == 42

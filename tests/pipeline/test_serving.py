"""`iris demo` as a user meets it: filled, served, stopped with Ctrl-C, started again; and what is in its way."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from pathlib import Path

import psutil

from iris_pipelines.cli.processes import free_port
from iris_pipelines.db.embedded import EmbeddedServer
from tests.commands import Child, eventually, finished, iris, started
from tests.servers import is_alive

_ASSETS = (
    "{ assetsOrError { ... on AssetConnection { nodes { key { path } assetMaterializations(limit: 1) { runId } } } } }"
)


def test_the_demo_is_built_served_stopped_with_ctrl_c_and_kept(tmp_path: Path) -> None:
    home, port = tmp_path / "a home", free_port()
    environment = {"IRIS_HOME": str(home), "IRIS_UI_PORT": str(port)}
    with started(iris("demo"), **environment) as child:
        lines = _heard_until(child, "Dagster UI: ")
        assert lines[0].startswith("loaded ")
        assert any(line.startswith("built analytics.analytics_hourly: ") for line in lines)
        assert any("Summit Bikes" in line for line in lines)
        built = _materialized_assets(f"http://127.0.0.1:{port}/graphql")
        assert {("analytics", "analytics_hourly"), ("analytics", "analytics_daily")} <= built
        family = [each.pid for each in psutil.Process(child.pid).children(recursive=True)]
        server = EmbeddedServer(home / "postgres").pid()
        assert len(family) >= 3
        assert server is not None
        child.send(signal.SIGINT)
        assert child.finished().code == 0
    eventually(lambda: not any(map(is_alive, [*family, server])), "the end of every process that it started")

    again = finished(iris("demo", "--no-serve"), **environment)
    assert (again.code, again.error) == (0, "")
    assert again.out.startswith("the demo's events are there already\n")
    # It was started by a command that does not serve: it stays for the next one.
    assert finished(iris("db", "stop"), **environment).out == "stopped\n"


def test_a_port_in_use_is_named_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = finished(iris("demo"), IRIS_HOME=str(tmp_path / "home"), IRIS_UI_PORT=port)
    assert done.code == 1
    assert port in done.error
    assert "IRIS_UI_PORT" in done.error
    assert not (tmp_path / "home").exists()


def _heard_until(child: Child, start: str) -> list[str]:
    """What it prints up to the line with this start."""
    lines: list[str] = []
    while not (lines and lines[-1].startswith(start)):
        assert child.is_running() or lines, child.finished()
        lines.append(child.heard())
    return lines


def _materialized_assets(graphql: str) -> set[tuple[str, ...]]:
    request = urllib.request.Request(  # noqa: S310
        graphql, json.dumps({"query": _ASSETS}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        nodes = json.load(response)["data"]["assetsOrError"]["nodes"]
    return {tuple(node["key"]["path"]) for node in nodes if node["assetMaterializations"]}

"""`iris up` and `iris demo`: the database, Dagster's code server, daemon and UI; the demo fills them first."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from iris_pipelines.cli.console import database_url, embedded_server, open_database, progress, read_settings, stdout
from iris_pipelines.cli.pipeline import open_pipeline
from iris_pipelines.cli.processes import Processes, free_port, require_free_port, stop_signals
from iris_pipelines.db.database import Database, queries
from iris_pipelines.settings import Settings

DEMO_DAYS = 14


def up() -> None:
    """Serve: the database, the Dagster UI with its code server, and the daemon that runs schedules and sensors."""
    settings = read_settings()
    require_free_port(settings.ui_host, settings.ui_port, setting="IRIS_UI_PORT")
    with stop_signals():
        _serve(settings, started_server=_starts_the_server(settings))


def demo(
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the Dagster UI in the end.")] = True,
) -> None:
    """Two weeks of believable traffic of three tenants, every rollup built, and the Dagster UI to look at it."""
    settings = read_settings()
    if serve:
        require_free_port(settings.ui_host, settings.ui_port, setting="IRIS_UI_PORT")
    with stop_signals():
        started_server = _starts_the_server(settings)
        try:
            _build_demo(settings)
        except KeyboardInterrupt:
            if started_server:
                embedded_server(settings).stop()
            raise
        if serve:
            _serve(settings, started_server=started_server)


def _starts_the_server(settings: Settings) -> bool:
    return settings.database_url is None and embedded_server(settings).pid() is None


def _build_demo(settings: Settings) -> None:
    from iris_pipelines.simulator.demo import load_demo

    now = datetime.now(UTC)
    started = time.monotonic()
    with open_database(settings) as database, progress() as bar:
        days = bar.add_task("loading two weeks of traffic", total=DEMO_DAYS + 1)
        loaded = load_demo(
            database,
            days=DEMO_DAYS,
            now=now,
            history_start=settings.history_start,
            on_day=lambda _: bar.advance(days),
        )
    if loaded is None:
        stdout.print("the demo's events are there already")
    else:
        stdout.print(f"loaded {loaded.accepted:,} events in {time.monotonic() - started:.0f} s")
    with open_pipeline(settings) as pipeline:
        for each in pipeline.run("stale_windows_job"):
            stdout.print(f"built {each}")
        if loaded is not None:
            for job in ("user_agents_job", "views_job"):
                pipeline.run(job)
    with open_database(settings) as database:
        _print_first_numbers(database)


def _print_first_numbers(database: Database) -> None:
    with database.transaction() as connection:
        rows = list(queries().first_numbers(connection))
    table = Table(
        box=box.SIMPLE,
        header_style="bold",
        pad_edge=False,
        caption="per cent delivered of sent, opened of delivered (by anyone, by humans)",
    )
    for name in ("tenant", "channel"):
        table.add_column(name, no_wrap=True)
    for name in ("sent", "delivered", "opened", "human", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    last = None
    for tenant, channel, sent, delivered, opened, by_humans, cost in rows:
        if last not in (None, tenant):
            table.add_section()
        shares = ("-" if share is None else f"{share}" for share in (delivered, opened, by_humans))
        table.add_row("" if tenant == last else tenant, channel, f"{sent:,}", *shares, f"{cost or 0:,.2f}")
        last = tenant
    stdout.print(table)


def _serve(settings: Settings, *, started_server: bool) -> None:
    from iris_pipelines.defs.instance import prepare_environment

    url = database_url(settings)
    with open_database(settings):
        environment = prepare_environment(settings.home, url)
    folder = settings.home / "dagster"
    code_port = free_port()
    workspace = folder / "workspace.yaml"
    workspace.write_text(
        "load_from:\n"
        "  - grpc_server:\n"
        "      host: 127.0.0.1\n"
        f"      port: {code_port}\n"
        "      location_name: iris_pipelines\n"
    )
    processes = Processes(settings.home / "logs", {**environment, "IRIS_HOME": str(settings.home)})
    try:
        with stdout.status("starting the code server, the daemon and the UI"):
            module = ["--module-name", "iris_pipelines.definitions"]
            processes.start(
                "code-server", ["dagster", "api", "grpc", "--host", "127.0.0.1", "--port", str(code_port), *module]
            )
            # The daemon marks running backfills as failed when it looks before their code can be loaded.
            processes.wait_until("code-server", f"127.0.0.1:{code_port}")
            processes.start("daemon", ["dagster._daemon", "run", "--workspace", str(workspace)])
            listen = ["--host", settings.ui_host, "--port", str(settings.ui_port)]
            processes.start("webserver", ["dagster_webserver", *listen, "--workspace", str(workspace)])
            address = f"http://{settings.ui_host}:{settings.ui_port}"
            processes.wait_until("webserver", f"{address}/server_info")
        stdout.print(f"Dagster UI: {address}   (logs in {settings.home / 'logs'}; Ctrl-C stops everything)")
        while True:
            processes.require_alive()
            time.sleep(1)
    except KeyboardInterrupt:
        stdout.print("stopping")
    finally:
        processes.stop()
        if started_server:
            embedded_server(settings).stop()

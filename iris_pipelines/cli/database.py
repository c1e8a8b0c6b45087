"""`iris db` and `iris tenants`: the server, its schema, and who has data in it."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

import typer

from iris_pipelines.cli.console import (
    ConfigurationError,
    database_url,
    embedded_server,
    fail,
    open_database,
    print_json,
    read_settings,
    stdout,
)

app = typer.Typer(help="The database: start, migrate, look inside, stop.", no_args_is_help=True)
tenants = typer.Typer(help="Who has data here.", no_args_is_help=True)


@app.command()
def upgrade(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Start the database if need be, apply the missing migrations, and make the event log's days to come."""
    from iris_pipelines.db import schema
    from iris_pipelines.db.database import Database
    from iris_pipelines.db.event_partitions import maintain_partitions

    url = database_url(read_settings())
    before = schema.upgrade(url)
    with Database(url) as database:
        maintain_partitions(database, now=datetime.now(UTC))
    if as_json:
        print_json({"schema_before": before.current, "schema": before.expected})
    elif before.is_current:
        stdout.print(f"schema {before.expected}: nothing to do")
    else:
        stdout.print(f"schema {before.current or '(none)'} -> {before.expected}")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Where the server is, whether it runs, and which schema it has. Starts nothing."""
    from iris_pipelines.db import schema
    from iris_pipelines.db.database import without_password

    settings = read_settings()
    if settings.database_url is not None:
        address: str | None = settings.database_url.get_secret_value()
    else:
        address = embedded_server(settings).url()
    found = None if address is None else schema.status(address)
    facts = {
        "server": "embedded" if settings.database_url is None else "external",
        "running": address is not None,
        "address": None if address is None else without_password(address),
        "schema": None if found is None else found.current,
        "expected_schema": None if found is None else found.expected,
    }
    if as_json:
        print_json(facts)
    else:
        for name, value in facts.items():
            stdout.print(f"{name.replace('_', ' ')}: {value}")


@app.command()
def url() -> None:
    """Print the database's URL and nothing else; starts the embedded server if need be."""
    typer.echo(database_url(read_settings()))


@app.command()
def shell() -> None:
    """Open psql on the database."""
    from iris_pipelines.db.embedded import EmbeddedServerError

    settings = read_settings()
    address = database_url(settings)
    try:
        program = str(embedded_server(settings).program("psql"))
    except EmbeddedServerError:
        found = shutil.which("psql")
        if found is None:
            fail("no psql found on this machine")
        program = found
    os.execv(program, [program, address])


@app.command()
def stop() -> None:
    """Stop the embedded server; its data stays."""
    settings = read_settings()
    if settings.database_url is not None:
        raise ConfigurationError("IRIS_DATABASE_URL is set: that server is not ours to stop")
    stdout.print("stopped" if embedded_server(settings).stop() else "not running")


@tenants.command("create")
def create_tenant(
    name: Annotated[str, typer.Argument(help="What to call the tenant.")],
    tenant_id: Annotated[UUID | None, typer.Option("--id", help="Its id; a random one by default.")] = None,
    timezone: Annotated[str, typer.Option(help="IANA time zone of its days and months.")] = "UTC",
    currency: Annotated[str, typer.Option(help="ISO 4217 code of its money.")] = "USD",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Make a tenant and print its id."""
    from iris_pipelines.db.tenants import Tenant, create_tenant

    tenant = Tenant(tenant_id or uuid4(), name, timezone, currency)
    with open_database(read_settings()) as database:
        create_tenant(database, tenant)
    if as_json:
        print_json({"id": tenant.id, "name": name, "timezone": timezone, "currency": currency})
    else:
        typer.echo(str(tenant.id))


@tenants.command("list")
def list_tenants(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Every tenant, by name."""
    from dataclasses import asdict

    from iris_pipelines.db.tenants import all_tenants

    with open_database(read_settings()) as database:
        found = all_tenants(database)
    if as_json:
        print_json([asdict(tenant) for tenant in found])
    else:
        for tenant in found:
            stdout.print(f"{tenant.id}  {tenant.name}  {tenant.timezone}  {tenant.currency}")

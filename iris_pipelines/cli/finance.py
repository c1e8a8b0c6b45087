"""`iris prices` and `iris budget`: what providers charge, and what a tenant may spend."""

from __future__ import annotations

import os
from decimal import Decimal, InvalidOperation
from typing import Annotated
from uuid import UUID

import typer

from iris_pipelines.cli.console import fail, open_database, print_json, read_settings, stdout

prices = typer.Typer(no_args_is_help=True, help="What providers charge, for the savings of least-cost routing.")
budget = typer.Typer(no_args_is_help=True, help="What a tenant may spend in a month, and who is told.")

_Tenant = Annotated[UUID, typer.Argument(metavar="TENANT", help="Its id; `iris tenants list` shows them.")]
_Json = Annotated[bool, typer.Option("--json", help="For machines.")]


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is no amount") from None


@prices.command("load")
def load_prices(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="CSV with provider, channel, price, valid_from; also country, currency, valid_to, tenant_id.",
        ),
    ],
    tenant_id: Annotated[
        UUID | None, typer.Option("--tenant", help="Whose prices they are, where the file does not say.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Load a price list, all of it or nothing: its prices take the days of those that are there."""
    from dataclasses import asdict

    from iris_pipelines.ingestion import prices as library
    from iris_pipelines.ingestion.files.discovery import find_files

    found = find_files([file], os.environ)
    if found.problems:
        raise found.problems[0]
    if len(found.files) != 1:
        fail(f"{file} holds {len(found.files)} files: name one of them", code=2)
    with open_database(read_settings()) as database:
        result = library.load_prices(database, found.files[0], tenant_id=tenant_id)
    if as_json:
        print_json({"file": found.files[0].name, **asdict(result)})
    else:
        stdout.print(
            f"{found.files[0].name}: {result.received:,} prices, {result.added:,} new, "
            f"{result.unchanged:,} as they were; {result.replaced:,} older ones lost days to them",
        )


@prices.command("default")
def default_provider(
    tenant_id: _Tenant,
    channel: Annotated[str, typer.Argument(help="sms, email, voice, social, push or whatsapp.")],
    provider: Annotated[str, typer.Argument(help="By whom its messages go unless something else is decided.")],
) -> None:
    """Set a tenant's default provider of a channel, against which savings are measured."""
    from iris_pipelines.ingestion.prices import set_default_provider

    with open_database(read_settings()) as database:
        set_default_provider(database, tenant_id, channel, provider)
    stdout.print(f"{channel.lower()} goes by {provider.lower()} by default")


@budget.command("set")
def set_budget(
    tenant_id: _Tenant,
    amount: Annotated[
        Decimal, typer.Argument(parser=_amount, metavar="AMOUNT", help="For a month, in the tenant's currency.")
    ],
    recipients: Annotated[
        list[str] | None,
        typer.Option("--alert", help="Who is told at 75, 90 and 100 %, such as email:ada@example.org; repeatable."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Set a tenant's monthly budget; with --alert, also who is told when it is nearly spent."""
    from iris_pipelines.db import budgets

    with open_database(read_settings()) as database:
        done = budgets.set_budget(database, tenant_id, amount, recipients=recipients or None)
    if as_json:
        print_json({"tenant_id": tenant_id, "monthly_budget": done.amount, "alert_actions": done.alert_actions})
    else:
        stdout.print(f"{done.amount} a month")


@budget.command("clear")
def clear_budget(tenant_id: _Tenant) -> None:
    """Leave a tenant without a budget."""
    from iris_pipelines.db import budgets

    with open_database(read_settings()) as database:
        budgets.clear_budget(database, tenant_id)
    stdout.print("no budget")


@budget.command("show")
def show_budget(tenant_id: _Tenant, as_json: _Json = False) -> None:
    """A tenant's budget, and what was spent of it month by month."""
    from dataclasses import asdict

    from iris_pipelines.db import budgets

    with open_database(read_settings()) as database:
        found = budgets.read_budget(database, tenant_id)
        months = budgets.budget_status(database, tenant_id)
    if as_json:
        print_json(
            {
                "tenant_id": tenant_id,
                "monthly_budget": found.amount,
                "alert_actions": found.alert_actions,
                "months": [asdict(month) for month in months],
            }
        )
        return
    stdout.print("no budget" if found.amount is None else f"{found.amount} a month")
    for month in months:
        used = "" if month.percent_used is None else f"  {month.percent_used} %"
        stdout.print(f"{month.month:%Y-%m}  {month.current_spend} {month.currency}{used}")

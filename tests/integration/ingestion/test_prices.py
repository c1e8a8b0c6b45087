"""Price lists: all of a file or nothing, every wrong line named, and older prices losing exactly the days they lose."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.db.tenants import Tenant, create_tenant
from iris_pipelines.ingestion.files.discovery import LocalFile
from iris_pipelines.ingestion.files.errors import UnreadableFile
from iris_pipelines.ingestion.prices import (
    InvalidDefaultProvider,
    InvalidPrices,
    PricesResult,
    load_prices,
    set_default_provider,
)

TENANT = UUID(int=1)
HEADER = "provider,channel,country,price,currency,valid_from,valid_to\n"


@pytest.fixture(autouse=True)
def tenant(database: Database) -> None:
    create_tenant(database, Tenant(TENANT, "Acme"))


def load(database: Database, folder: Path, text: str, **options: Any) -> PricesResult:
    path = folder / "prices.csv"
    path.write_text(text)
    return load_prices(database, LocalFile(path), **options)


def prices(database: Database) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        return connection.execute(
            "select provider, country, price, valid_from, valid_to from iris.provider_prices order by 1, 2, 4"
        ).fetchall()


def test_a_list_is_loaded_once_and_a_newer_one_takes_its_days(database: Database, tmp_path: Path) -> None:
    first = HEADER + "Twilio,SMS,us,0.0079,usd,2026-01-01,\ntelnyx,sms,,0.004,,2026-01-01,2027-01-01\n"
    assert load(database, tmp_path, first) == PricesResult(received=2, added=2, unchanged=0, replaced=0)
    assert load(database, tmp_path, first) == PricesResult(received=2, added=0, unchanged=2, replaced=0)
    newer = HEADER + "twilio,sms,US,0.009,USD,2026-02-01,2026-03-01\n"
    assert load(database, tmp_path, newer) == PricesResult(received=1, added=1, unchanged=0, replaced=1)
    assert prices(database) == [
        ("telnyx", None, Decimal("0.004"), date(2026, 1, 1), date(2027, 1, 1)),
        ("twilio", "US", Decimal("0.0079"), date(2026, 1, 1), date(2026, 2, 1)),
        ("twilio", "US", Decimal("0.009"), date(2026, 2, 1), date(2026, 3, 1)),
        ("twilio", "US", Decimal("0.0079"), date(2026, 3, 1), None),
    ]


def test_a_tenant_has_prices_of_its_own(database: Database, tmp_path: Path) -> None:
    load(database, tmp_path, HEADER + "twilio,sms,,1,USD,2026-01-01,\n")
    load(database, tmp_path, HEADER + "twilio,sms,,2,USD,2026-01-01,\n", tenant_id=TENANT)
    load(database, tmp_path, f"tenant_id,provider,channel,price,valid_from\n{TENANT},ses,email,3,2026-01-01\n")
    with database.transaction() as connection:
        found = connection.execute("select price, tenant_id from iris.provider_prices order by price").fetchall()
    assert found == [(1, None), (2, TENANT), (3, TENANT)]


def test_every_wrong_line_is_named_and_nothing_is_loaded(database: Database, tmp_path: Path) -> None:
    lines = [
        "twilio,sms,US,0.0079,USD,2026-01-01,",
        ",sms,US,0.0079,USD,2026-01-01,",
        "twilio,fax,US,0.0079,USD,2026-01-01,",
        "twilio,sms,USA,0.0079,USD,2026-01-01,",
        "twilio,sms,US,cheap,USD,2026-01-01,",
        "twilio,sms,US,-1,USD,2026-01-01,",
        "twilio,sms,US,0.0000001,USD,2026-01-01,",
        "twilio,sms,US,NaN,USD,2026-01-01,",
        "twilio,sms,US,1,dollars,2026-01-01,",
        "twilio,sms,US,1,USD,01.02.2026,",
        "twilio,sms,US,1,USD,2026-01-01,2026-01-01",
        "twilio,sms,US,1",
        "twilio,sms,US,1,USD,2026-01-01,2026-02-01",
    ]
    with pytest.raises(InvalidPrices) as raised:
        load(database, tmp_path, HEADER + "\n".join(lines) + "\n")
    assert sorted(raised.value.problems) == list(range(3, 15))
    message = str(raised.value)
    assert "nothing was loaded" in message
    assert "line 3: column provider is missing" in message
    assert "line 4: column channel is 'fax': expected one of email" in message
    assert "line 12: valid_to (2026-01-01) is not after valid_from" in message
    assert "line 14: line 2 has a price of the same for some of these days" in message
    assert prices(database) == []


def test_tenants_and_columns_must_be_known(database: Database, tmp_path: Path) -> None:
    nobody = HEADER + "twilio,sms,US,1,USD,2026-01-01,\n"
    with pytest.raises(InvalidPrices, match="there is no tenant"):
        load(database, tmp_path, nobody, tenant_id=UUID(int=7))
    with pytest.raises(InvalidPrices, match="prices have no column 'cost'"):
        load(database, tmp_path, "provider,channel,price,valid_from,cost\ntwilio,sms,1,2026-01-01,1\n")
    with pytest.raises(UnreadableFile):
        load(database, tmp_path, "name,size\na,1\n")
    assert prices(database) == []


def test_a_channel_has_one_default_provider(database: Database) -> None:
    set_default_provider(database, TENANT, "sms", "twilio")
    set_default_provider(database, TENANT, "SMS", "Telnyx")
    set_default_provider(database, TENANT, "sms", "telnyx")
    set_default_provider(database, TENANT, "voice", "twilio")
    with database.transaction() as connection:
        found = connection.execute(
            "select channel, provider, is_default from iris.provider_accounts order by 1, 2"
        ).fetchall()
    assert found == [("sms", "telnyx", True), ("sms", "twilio", False), ("voice", "twilio", True)]
    with pytest.raises(InvalidDefaultProvider, match="unknown channel 'fax'"):
        set_default_provider(database, TENANT, "fax", "twilio")
    with pytest.raises(InvalidDefaultProvider, match="there is no tenant"):
        set_default_provider(database, UUID(int=7), "sms", "twilio")


def test_the_tables_refuse_what_no_list_would_say(database: Database) -> None:
    insert = (
        "insert into iris.provider_prices (provider, channel, price, valid_from, valid_to) values (%s, %s, %s, %s, %s)"
    )
    for row in (("Twilio", "sms", 1, "2026-01-01", None), ("twilio", "sms", 1, "2026-01-02", "2026-01-01")):
        with pytest.raises(psycopg.errors.CheckViolation), database.transaction() as connection:
            connection.execute(insert, row)
    with pytest.raises(psycopg.errors.InvalidParameterValue), database.transaction() as connection:
        connection.execute("update iris.tenants set timezone = 'Mars/Olympus'")

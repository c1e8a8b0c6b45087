"""Price lists of providers from files, and by whom a tenant sends unless it says otherwise."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.events import CHANNELS
from iris_pipelines.domain.prices import Key, Overlap, Price, arranged, left_of
from iris_pipelines.ingestion.files.discovery import StoredFile
from iris_pipelines.ingestion.files.formats import Columns, RecordFile
from iris_pipelines.ingestion.records import Malformed, numbered_records

_SHOWN_PROBLEMS = 20
_LIMIT = 1_000_000


class InvalidPrices(IrisError):
    """A price list that cannot be loaded: what is wrong with each of its lines; nothing of it was loaded."""

    def __init__(self, name: str, problems: Mapping[int, str]) -> None:
        shown = [f"line {line:,}: {problems[line]}" for line in sorted(problems)[:_SHOWN_PROBLEMS]]
        if len(problems) > _SHOWN_PROBLEMS:
            shown.append(f"and {len(problems) - _SHOWN_PROBLEMS:,} lines more")
        super().__init__(f"{name}: nothing was loaded\n  " + "\n  ".join(shown))
        self.problems = problems


class InvalidDefaultProvider(IrisError):
    """A default provider that cannot be set as asked."""


@dataclass(frozen=True)
class PricesResult:
    """What a list did: `added` are new, `unchanged` were there, and `replaced` others lost days to it, or all."""

    received: int
    added: int
    unchanged: int
    replaced: int


def load_prices(db: Database, file: StoredFile, *, tenant_id: UUID | None = None) -> PricesResult:
    """Load a price list, all of it or nothing: its prices take the days of those that are there.

    `tenant_id` is whose prices they are where the list does not say; None stands for everybody. Raises InvalidPrices
    with every line that is wrong.
    """
    with file.local_path() as path, db.transaction() as connection:
        lines, prices, problems = [], [], {}
        for batch in RecordFile(path, file.name, columns=Columns(tuple(_REQUIRED), known=None)):
            for line, record in numbered_records(batch):
                if isinstance(record, Malformed):
                    problems[line] = record.detail
                    continue
                try:
                    prices.append(_price(record, tenant_id))
                    lines.append(line)
                except ValueError as error:
                    problems[line] = str(error)
        problems.update(_without_tenant(connection, dict(zip(lines, prices, strict=True))))
        try:
            incoming = arranged(prices)
        except Overlap as overlap:
            where = f"line {lines[overlap.other]:,} has a price of the same for some of these days"
            problems.setdefault(lines[overlap.place], where)
        if problems:
            raise InvalidPrices(file.name, problems)
        return _replace(connection, incoming, received=len(prices))


def set_default_provider(db: Database, tenant_id: UUID, channel: str, provider: str) -> None:
    """Say by whom a tenant's messages of a channel go unless something else is decided for them."""
    channel, provider = channel.strip().lower(), provider.strip().lower()
    if channel not in CHANNELS:
        raise InvalidDefaultProvider(f"unknown channel {channel!r}: use one of {', '.join(sorted(CHANNELS))}")
    if not provider:
        raise InvalidDefaultProvider("a provider needs a name")
    with db.transaction() as connection:
        if not list(queries().known_tenants(connection, ids=[tenant_id])):
            raise InvalidDefaultProvider(f"there is no tenant {tenant_id}: `iris tenants list` shows them")
        queries().clear_default_provider(connection, tenant_id=tenant_id, channel=channel)
        queries().set_default_provider(connection, tenant_id=tenant_id, channel=channel, provider=provider)


def _replace(connection: Connection, incoming: list[Price], *, received: int) -> PricesResult:
    """Put the prices in the place of those that are there; what says the same already stays as it is."""
    queries().lock_provider_prices(connection)
    newer: defaultdict[Key, list[Price]] = defaultdict(list)
    for price in incoming:
        newer[price.key].append(price)
    found = queries().provider_prices_of(connection, providers=sorted({price.provider for price in incoming}))
    known = {id_: Price(*columns) for id_, *columns in found}
    unchanged = {price for price in known.values() if price in newer[price.key]}
    gone, left = [], []
    for id_, price in known.items():
        if price not in unchanged:
            parts = left_of(price, newer[price.key])
            if parts != [price]:
                gone.append(id_)
                left += parts
    added = [price for price in incoming if price not in unchanged]
    queries().delete_provider_prices(connection, ids=gone)
    queries().insert_provider_price(connection, [vars(price) for price in [*left, *added]])
    return PricesResult(received, len(added), len(unchanged), len(gone))


def _without_tenant(connection: Connection, prices: Mapping[int, Price]) -> Iterator[tuple[int, str]]:
    wanted = {price.tenant_id for price in prices.values()} - {None}
    known = {tenant for (tenant,) in queries().known_tenants(connection, ids=list(wanted))}
    for line, price in prices.items():
        if price.tenant_id in wanted - known:
            yield line, f"there is no tenant {price.tenant_id}; make it first"


def _price(record: Mapping[str, Any], tenant_id: UUID | None) -> Price:
    """One line; raises ValueError with what is wrong."""
    if unknown := sorted(set(record) - _READERS.keys()):
        raise ValueError(f"prices have no column {unknown[0]!r}; they have {', '.join(_READERS)}")
    values: dict[str, Any] = {"tenant_id": tenant_id, "currency": "USD"}
    for name, (read, expected) in _READERS.items():
        value = record.get(name)
        if value is None or str(value).strip() == "":
            if name in _REQUIRED:
                raise ValueError(f"column {name} is missing")
            values.setdefault(name, None)
            continue
        try:
            values[name] = read(str(value).strip())
        except (ValueError, InvalidOperation):
            raise ValueError(f"column {name} is {value!r}: expected {expected}") from None
    price = Price(**values)
    if price.valid_to is not None and price.valid_to <= price.valid_from:
        raise ValueError(f"valid_to ({price.valid_to}) is not after valid_from ({price.valid_from})")
    return price


def _matched(pattern: str, change: Callable[[str], str] = str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, change(text)):
            raise ValueError(text)
        return change(text)

    return read


def _read_channel(text: str) -> str:
    if text.lower() not in CHANNELS:
        raise ValueError(text)
    return text.lower()


def _read_amount(text: str) -> Decimal:
    amount = Decimal(text)
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -6 or not 0 <= amount < _LIMIT:
        raise ValueError(text)
    return amount


_READERS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "provider": (_matched(r"[^\s\x00]+", str.lower), "a name without spaces"),
    "channel": (_read_channel, f"one of {', '.join(sorted(CHANNELS))}"),
    "country": (_matched("[A-Z]{2}", str.upper), "an ISO 3166 code such as DE, or nothing for all others"),
    "price": (_read_amount, f"an amount from 0 to less than {_LIMIT:,} with at most 6 decimals"),
    "currency": (_matched("[A-Z]{3}", str.upper), "an ISO 4217 code such as USD"),
    "valid_from": (date.fromisoformat, "a day such as 2026-11-01"),
    "valid_to": (date.fromisoformat, "a day such as 2026-12-01, the first without this price, or nothing"),
    "tenant_id": (UUID, "a UUID, or nothing for everybody"),
}
_REQUIRED = ("provider", "channel", "price", "valid_from")

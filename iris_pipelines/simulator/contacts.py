"""Whom a tenant writes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from iris_pipelines.domain.windows import EPOCH
from iris_pipelines.simulator import rates
from iris_pipelines.simulator.clients import DEVICES
from iris_pipelines.simulator.draws import Bools, Draws, Floats, Ints
from iris_pipelines.simulator.geography import COUNTRIES, COUNTRY_OF_PLACE, PLACES
from iris_pipelines.simulator.text import Column, joined, looked_up

_FIRST_JOINED_MS = (datetime(2019, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
_YEAR_MS = 365 * 86_400_000
_MAIL_DOMAINS = pa.array([f"{each.mailbox}.example" for each in DEVICES])
# No country gives out numbers that begin like this.
_DIALS = pa.array([f"+{each.dial}555" for each in COUNTRIES])
_PLAIN = str.maketrans(
    "áàâãäåąçćčéèêëęíìîïłñńóòôõöøśúùûüźżßÁÀÂÃÄÅĄÇĆČÉÈÊËĘÍÌÎÏŁÑŃÓÒÔÕÖØŚÚÙÛÜŹŻ",
    "aaaaaaaccceeeeeiiiilnnoooooosuuuuzzsAAAAAAACCCEEEEEIIIILNNOOOOOOSUUUUZZ",
)


@dataclass(frozen=True)
class Contacts:
    """A tenant's contacts, a column each."""

    ids: pa.StringArray
    emails: Column
    phones: Column
    first_names: Column
    last_names: Column
    created_ms: Ints
    place: Ints
    device: Ints
    propensity: Floats
    """Multiplies the chance that a message is opened or clicked."""
    has_dead_mailbox: Bools

    def __len__(self) -> int:
        return len(self.ids)


def contacts_at(home_places: Sequence[int], count: int, draws: Draws) -> Contacts:
    """As many contacts, most of them in the given places, the others anywhere."""
    at_home = draws.chance(rates.AT_HOME_SHARE, count)
    home = np.array(home_places)[draws.below(len(home_places), count)]
    place = np.where(at_home, home, draws.below(len(PLACES), count))
    country = np.array(COUNTRY_OF_PLACE)[place]
    first_names, first_slugs = _names(country, draws, [each.first_names for each in COUNTRIES])
    last_names, last_slugs = _names(country, draws, [each.last_names for each in COUNTRIES])
    device = draws.pick([each.weight for each in DEVICES], count)
    numbers = pa.array(np.arange(1, count + 1)).cast(pa.string())
    digits = pa.array(np.arange(10_000_001, 10_000_001 + count)).cast(pa.string())
    return Contacts(
        ids=draws.uuids(count),
        emails=joined(first_slugs, ".", last_slugs, ".", numbers, "@", looked_up(_MAIL_DOMAINS, device)),
        phones=joined(looked_up(_DIALS, country), digits),
        first_names=first_names,
        last_names=last_names,
        created_ms=_FIRST_JOINED_MS + draws.below(_YEAR_MS, count),
        place=place,
        device=device,
        propensity=draws.lognormal(rates.PROPENSITY, count),
        has_dead_mailbox=draws.chance(rates.DEAD_MAILBOX_SHARE, count),
    )


def _names(country: Ints, draws: Draws, names: Sequence[Sequence[str]]) -> tuple[Column, Column]:
    """Names that are usual in each country, and how they are written in an address."""
    sizes = np.array([len(each) for each in names])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    every = [name for each in names for name in each]
    codes = starts[country] + draws.below(sizes[country], len(country))
    return looked_up(pa.array(every), codes), looked_up(pa.array([_slug(name) for name in every]), codes)


def _slug(name: str) -> str:
    return name.translate(_PLAIN).replace("'", "").lower()

"""The tenants of a simulation with their contacts and campaigns: fixed by the seed, whatever days are asked for."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from iris_pipelines.db.tenants import Tenant
from iris_pipelines.domain.windows import EPOCH, Window
from iris_pipelines.simulator import rates
from iris_pipelines.simulator.campaigns import Campaign, campaigns_of_week, week_of
from iris_pipelines.simulator.contacts import Contacts, contacts_at
from iris_pipelines.simulator.draws import Draws, Floats
from iris_pipelines.simulator.geography import COUNTRIES, PLACES, PLACES_OF
from iris_pipelines.simulator.plan import TrafficPlan
from iris_pipelines.simulator.providers import CHANNELS, ROUTES

# The first part of each key of random numbers: what they are for.
TENANT, CONTACTS, CAMPAIGNS, MESSAGES, JOURNEYS, API_REQUESTS, ARRIVALS, INCIDENTS = range(8)

DAY_MS = 86_400_000
_FIRST = (
    *("Northwind", "Harbor", "Juniper", "Lumen", "Maple", "Orchid", "Copper", "Summit", "Willow", "Cobalt"),
    *("Meridian", "Saffron", "Tidal", "Ember", "Granite", "Clover", "Aurora", "Pebble", "Falcon", "Bramble"),
)
_SECOND = (
    *("Outdoor", "Travel", "Books", "Health", "Bikes", "Coffee", "Insurance", "Games", "Flowers", "Bank"),
    *("Fitness", "Foods", "Learning", "Energy", "Pets"),
)
_TEMPLATES = ("order_confirmation", "shipping_update", "password_reset", "appointment_reminder", "invoice")
_LINKS = ("sale", "new", "account", "orders/track", "pricing", "blog/tips", "survey", "app", "stores", "gift-cards")


class TenantWorld:
    """One tenant: what it sends, to whom, and when."""

    def __init__(self, plan: TrafficPlan, index: int) -> None:
        self.index = index
        self.seed = plan.seed
        self.events_per_day = plan.events_per_day * _zipf_share(index, plan.tenants)
        draws = Draws(plan.seed, TENANT, index)
        home = int(draws.pick([country.weight for country in COUNTRIES], 1)[0])
        self.country = COUNTRIES[home]
        self.home_places = PLACES_OF[self.country.code]
        place = PLACES[self.home_places[int(draws.below(len(self.home_places), 1)[0])]]
        # Steps that share no factor with the lengths: all pairs that a count can reach come before any comes again.
        number = index + plan.seed % 60
        name = f"{_FIRST[number * 7 % len(_FIRST)]} {_SECOND[number * 4 % len(_SECOND)]}"
        name += f" {index // 60 + 1}" if index >= 60 else ""
        self.tenant = Tenant(UUID(draws.uuids(1)[0].as_py()), name, place.timezone, self.country.currency)
        self.slug = name.lower().replace(" ", "-")
        self.zone = ZoneInfo(place.timezone)
        mix = np.array(rates.CHANNEL_MIX) * (0.4 + 0.6 * draws.uniform(len(CHANNELS)))
        self.channel_mix: Floats = mix / mix.sum()
        self.route_weights: Floats = np.array([route.weight for route in ROUTES]) * (
            0.2 + 1.8 * draws.uniform(len(ROUTES))
        )
        self.links = pa.array([f"https://www.{self.slug}.example/{path}" for path in _LINKS])
        self.templates = pa.array(_TEMPLATES)

    @property
    def message_events_per_day(self) -> float:
        """Events about messages, in the mean of a week."""
        return self.events_per_day * (1 - rates.API_REQUEST_SHARE)

    def draws(self, purpose: int, day: int) -> Draws:
        """The random numbers of one purpose on one day."""
        return Draws(self.seed, purpose, self.index, day)

    def utc_offset_ms(self, day: int) -> int:
        """What the tenant's clocks show minus UTC, at noon of a day."""
        offset = (EPOCH + timedelta(days=day, hours=12)).astimezone(self.zone).utcoffset()
        return int((offset or timedelta()) / timedelta(milliseconds=1))

    @cached_property
    def contacts(self) -> Contacts:
        """Whom it writes to."""
        messages = self.message_events_per_day / float(np.dot(self.channel_mix, rates.EVENTS_PER_MESSAGE))
        count = max(rates.FEWEST_CONTACTS, round(messages * rates.CONTACTS_PER_DAILY_MESSAGE))
        return contacts_at(self.home_places, count, Draws(self.seed, CONTACTS, self.index))

    def campaigns(self, first_day: int, last_day: int) -> list[Campaign]:
        """The campaigns with a wave on one of the days, both included."""
        found: list[Campaign] = []
        for week in range(week_of(first_day) - 2, week_of(last_day) + 1):
            offset_ms = self.utc_offset_ms(week * 7)
            draws = self.draws(CAMPAIGNS, week)
            found += campaigns_of_week(week, channel_mix=self.channel_mix, utc_offset_ms=offset_ms, draws=draws)
        return [
            campaign
            for campaign in found
            if campaign.first_day <= last_day and campaign.first_day + campaign.days > first_day
        ]


def milliseconds(window: Window) -> tuple[int, int]:
    """Start and end of a window since 1970."""
    millisecond = timedelta(milliseconds=1)
    return (window.start - EPOCH) // millisecond, (window.end - EPOCH) // millisecond


def _zipf_share(index: int, tenants: int) -> float:
    weights = [1 / (rank + 1) ** rates.ZIPF_EXPONENT for rank in range(tenants)]
    share: float = weights[index] / sum(weights)
    return share

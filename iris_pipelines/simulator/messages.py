"""The messages that a tenant makes on a day: when, on which channel and route, to whom, and for which campaign."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from iris_pipelines.domain.windows import Window
from iris_pipelines.simulator import rates
from iris_pipelines.simulator.campaigns import Campaign
from iris_pipelines.simulator.draws import Draws, Floats, Ints
from iris_pipelines.simulator.providers import (
    CHANNELS,
    EMAIL,
    PROVIDER_OF_ROUTE,
    PROVIDERS,
    PUSH,
    ROUTES,
    ROUTES_OF_CHANNEL,
    SOCIAL,
)
from iris_pipelines.simulator.text import Column, hex_text, joined, looked_up, schema
from iris_pipelines.simulator.world import DAY_MS, MESSAGES, TenantWorld, milliseconds

MESSAGE_SCHEMA = schema(
    {
        "tenant_id": pa.string(),
        "id": pa.string(),
        "campaign_id": pa.string(),
        "to_contact_id": pa.string(),
        "to_address": pa.string(),
        "channel": pa.string(),
        "provider": pa.string(),
        "provider_message_id": pa.string(),
        "variant": pa.string(),
        "created_at": pa.timestamp("us", tz="UTC"),
    }
)
_CHANNEL_NAMES = pa.array(CHANNELS)
_PROVIDER_NAMES = pa.array(PROVIDERS)
_ID_PREFIXES = pa.array([route.id_prefix for route in ROUTES])


@dataclass(frozen=True)
class Messages:
    """The messages of one tenant and one UTC day, a column each, in the order they were made."""

    world: TenantWorld
    campaigns: list[Campaign]
    ids: pa.StringArray
    provider_ids: pa.StringArray
    created_ms: Ints
    campaign: Ints
    """Index into `campaigns`, -1 for a message of no campaign."""
    variant: Column
    lift: Floats
    """What campaign and variant do to the chance of an open or click."""
    channel: Ints
    route: Ints
    contact: Ints

    def __len__(self) -> int:
        return len(self.ids)

    def campaign_ids(self) -> Column:
        """The campaign of each message, null where there is none."""
        return looked_up(pa.array([campaign.id for campaign in self.campaigns], pa.string()), self.campaign)

    def records(self, window: Window) -> pa.RecordBatch:
        """The rows of `iris.messages` made in a window; status and times are for the events to bring."""
        contacts = self.world.contacts
        contact_ids = contacts.ids.take(self.contact)
        count = len(self)
        addresses = pa.chunked_array(
            [
                contacts.phones.take(self.contact),
                contacts.emails.take(self.contact),
                joined("device:", contact_ids),
                joined("profile:", contact_ids),
            ]
        ).combine_chunks()
        kind = np.select([self.channel == EMAIL, self.channel == PUSH, self.channel == SOCIAL], [1, 2, 3], 0)
        start, end = milliseconds(window)
        in_window = (self.created_ms >= start) & (self.created_ms < end)
        columns = [
            pa.array([str(self.world.tenant.id)]).take(np.zeros(count, np.int64)),
            self.ids,
            self.campaign_ids(),
            contact_ids,
            addresses.take(kind * count + np.arange(count)),
            looked_up(_CHANNEL_NAMES, self.channel),
            looked_up(_PROVIDER_NAMES, PROVIDER_OF_ROUTE[self.route]),
            self.provider_ids,
            self.variant,
            pa.array(self.created_ms * 1000).cast(pa.timestamp("us", tz="UTC")),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=MESSAGE_SCHEMA).filter(in_window)


def messages_of(world: TenantWorld, day: int) -> Messages:
    """What one tenant makes on a UTC day, counted from 1970."""
    draws = world.draws(MESSAGES, day)
    weekday = (day + 3) % 7
    noise = 1 + rates.DAY_NOISE * draws.one(-1, 1)
    events = world.message_events_per_day * rates.WEEKDAYS[weekday] * noise
    campaigns = [campaign for campaign in world.campaigns(day, day) if not campaign.is_draft]
    in_campaigns = events * rates.CAMPAIGN_SHARE if campaigns else 0.0
    per_message = np.array(rates.EVENTS_PER_MESSAGE)
    single = draws.rounded((events - in_campaigns) / float(np.dot(world.channel_mix, per_message)))
    weight = sum(campaign.weight for campaign in campaigns)
    waves = [
        draws.rounded(in_campaigns * campaign.weight / weight / per_message[campaign.channel]) for campaign in campaigns
    ]

    sizes = [single, *waves]
    campaign = np.repeat(np.arange(-1, len(campaigns)), sizes)
    channel = np.concatenate(
        [
            draws.pick(world.channel_mix, single),
            np.array([each.channel for each in campaigns], np.int64)[campaign[single:]],
        ]
    )
    created = np.concatenate(
        [hours_of_day(world, draws, day, single)]
        + [
            day * DAY_MS + each.starts_ms + draws.below(each.lasts_ms, size)
            for each, size in zip(campaigns, waves, strict=True)
        ]
    )
    regulars = (len(world.contacts) * np.square(draws.uniform(single))).astype(np.int64)
    contact = np.concatenate([regulars] + [_audience(world, draws, size) for size in waves])
    variant, lift = _variants(draws, campaigns, campaign)

    order = np.argsort(created, kind="stable")
    created = created[order]
    channel = channel[order]
    route = _routes(world, draws, channel)
    words = draws.words(2 * len(created))
    return Messages(
        world=world,
        campaigns=campaigns,
        ids=draws.uuids(len(created)),
        provider_ids=joined(looked_up(_ID_PREFIXES, route), hex_text(words, width=32)),
        created_ms=created,
        campaign=campaign[order],
        variant=variant.take(order),
        lift=lift[order],
        channel=channel,
        route=route,
        contact=contact[order],
    )


def hours_of_day(world: TenantWorld, draws: Draws, day: int, count: int) -> Ints:
    """Instants of a day in the tenant's rhythm."""
    offset_hours = world.utc_offset_ms(day) // 3_600_000
    weights = [rates.HOURS[(hour + offset_hours) % 24] for hour in range(24)]
    return day * DAY_MS + draws.pick(weights, count) * 3_600_000 + draws.below(3_600_000, count)


def _audience(world: TenantWorld, draws: Draws, size: int) -> Ints:
    """Contacts, each once before any is there again."""
    count = len(world.contacts)
    return (int(draws.below(count, 1)[0]) + np.arange(size)) % count


def _variants(draws: Draws, campaigns: list[Campaign], campaign: Ints) -> tuple[Column, Floats]:
    """Which variant each message is, if any, and what campaign and variant do to its appeal."""
    names: list[str | None] = [None]
    lifts = [1.0]
    first, count = [0], [1]
    for each in campaigns:
        first.append(len(names))
        count.append(len(each.lift))
        names.extend(each.variants or (None,))
        lifts.extend(each.appeal * lift for lift in each.lift)
    code = np.array(first)[campaign + 1] + draws.below(np.array(count)[campaign + 1], len(campaign))
    return pa.array(names, pa.string()).take(code), np.array(lifts)[code]


def _routes(world: TenantWorld, draws: Draws, channel: Ints) -> Ints:
    """By which provider each message goes."""
    chance = draws.uniform(len(channel))
    route = np.zeros(len(channel), dtype=np.int64)
    for code, routes in enumerate(ROUTES_OF_CHANNEL):
        where = channel == code
        edges = np.cumsum(world.route_weights[list(routes)])
        found = np.searchsorted(edges, chance[where] * edges[-1], side="right")
        route[where] = np.array(routes)[np.minimum(found, len(routes) - 1)]
    return route

"""Campaigns: a wave of messages on each of a few days, with variants that are tested against each other or not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from iris_pipelines.domain.windows import EPOCH
from iris_pipelines.simulator import rates
from iris_pipelines.simulator.draws import Draws, Floats
from iris_pipelines.simulator.providers import CHANNELS, EMAIL, PUSH, SMS, SOCIAL, WHATSAPP

HOUR_MS = 3_600_000
_THEMES = ("Spring sale", "Product news", "Win back", "Webinar", "Loyalty points", "Flash offer", "Survey", "Weekend")
_CHANNELS = (SMS, EMAIL, SOCIAL, PUSH, WHATSAPP)
_VARIANTS = ((), ("A", "B"), ("control", "short_subject", "emoji"))


@dataclass(frozen=True)
class Campaign:
    """One campaign; `lift` is what each variant does to opens and clicks, `appeal` what the campaign does."""

    id: str
    name: str
    channel: int
    first_day: int
    days: int
    starts_ms: int
    """When its waves begin, after midnight UTC."""
    lasts_ms: int
    weight: float
    appeal: float
    variants: tuple[str, ...]
    lift: tuple[float, ...]
    is_draft: bool

    @property
    def channel_name(self) -> str:
        """The channel it goes out on."""
        return CHANNELS[self.channel]

    def status(self, now: datetime) -> str:
        """What the platform says of it at an instant."""
        if self.is_draft:
            return "draft"
        first = EPOCH + timedelta(days=self.first_day, milliseconds=self.starts_ms)
        if now < first:
            return "scheduled"
        return "running" if now < first + timedelta(days=self.days) else "completed"

    def created_at(self) -> datetime:
        """A few days before its first wave."""
        return EPOCH + timedelta(days=self.first_day - 4, hours=10)


def week_of(day: int) -> int:
    """The week that a day lies in; both are counted from 1970."""
    return (day + 3) // 7


def campaigns_of_week(week: int, *, channel_mix: Floats, utc_offset_ms: int, draws: Draws) -> list[Campaign]:
    """The campaigns that a tenant begins in a week."""
    count = 2 + int(draws.below(4, 1)[0])
    ids = draws.uuids(count).to_pylist()
    return [_campaign(str(each), week, channel_mix, utc_offset_ms, draws) for each in ids]


def _campaign(campaign_id: str, week: int, channel_mix: Floats, utc_offset_ms: int, draws: Draws) -> Campaign:
    monday = week * 7 - 3
    local_start = (8 + int(draws.below(11, 1)[0])) * HOUR_MS
    variants, lift = _variants(draws)
    theme = _THEMES[int(draws.below(len(_THEMES), 1)[0])]
    year, number, _ = (EPOCH + timedelta(days=monday)).isocalendar()
    return Campaign(
        id=campaign_id,
        name=f"{theme} {year}-W{number:02d} {campaign_id[:4]}",
        channel=_CHANNELS[int(draws.pick(channel_mix[list(_CHANNELS)], 1)[0])],
        first_day=monday + int(draws.pick(rates.CAMPAIGN_WEEKDAYS, 1)[0]),
        days=1 + int(draws.pick(rates.CAMPAIGN_DAYS, 1)[0]),
        starts_ms=(local_start - utc_offset_ms) % (24 * HOUR_MS),
        lasts_ms=rates.WAVE_HOURS[int(draws.below(len(rates.WAVE_HOURS), 1)[0])] * HOUR_MS,
        weight=draws.one(0.5, 2.0),
        appeal=draws.one(0.75, 1.25),
        variants=variants,
        lift=lift,
        is_draft=bool(draws.chance(rates.DRAFT_SHARE, 1)[0]),
    )


def _variants(draws: Draws) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """No test, A against B, or a control against two treatments; some treatments make no difference."""
    names = _VARIANTS[int(draws.pick(rates.VARIANT_KINDS, 1)[0])]
    if not names:
        return (), (1.0,)
    treatments = len(names) - 1
    differs = draws.chance(rates.DIFFERENT_SHARE, treatments)
    lifts = np.where(differs, np.array(rates.LIFTS)[draws.below(len(rates.LIFTS), treatments)], 1.0)
    return names, (1.0, *(float(lift) for lift in lifts))

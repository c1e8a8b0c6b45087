"""An independent recount of engagement: plain Python over the raw rows, straight from the contract's words."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import dict_row

from iris_pipelines.db.database import Database
from iris_pipelines.domain.events import EVENT_TYPES

Row = dict[str, Any]
ContactKey = tuple[UUID, UUID]

_POINTS = {"message.delivered": 1, "message.opened": 5, "link.clicked": 10, "call.answered": 15, "conversion": 50}
_PARTS = {
    "message.delivered": "delivered_points",
    "message.opened": "opened_points",
    "link.clicked": "clicked_points",
    "call.answered": "answered_points",
    "conversion": "conversion_points",
}
_COLUMNS = "contact_id, engagement_score, engagement_level, human_score, last_engagement_at, " + ", ".join(
    _PARTS.values()
)


class Event(NamedTuple):
    day: date
    timestamp: datetime
    event_type: str
    is_machine: bool


class Contacts:
    """What a database knows of contacts: the events of each, and since when the platform has them."""

    def __init__(self, database: Database, *, closed_before: datetime) -> None:
        self.events: defaultdict[ContactKey, list[Event]] = defaultdict(list)
        with database.transaction() as connection:
            for tenant, contact, at, event_type, is_machine in connection.execute(
                "select tenant_id, contact_id, timestamp, event_type, is_machine from iris.analytics_events"
                " where timestamp < %s and event_type <> 'api.request' and contact_id is not null",
                (closed_before,),
            ):
                day = at.astimezone(UTC).date()
                self.events[tenant, contact].append(Event(day, at, event_type, is_machine))
            self.created: dict[ContactKey, datetime] = {
                (tenant, contact): at
                for tenant, contact, at in connection.execute("select tenant_id, id, created_at from iris.contacts")
            }

    def scores(self, as_of: date) -> dict[ContactKey, Row]:
        """What `engagement_scores` must say as of a date."""
        scores = {}
        for key, events in self.events.items():
            counted = [event for event in events if 0 <= (as_of - event.day).days <= 89]
            if any(event.event_type in EVENT_TYPES for event in counted):
                scores[key] = {**_score(counted, as_of), "last_engagement_at": self.last_engagement(key, as_of)}
        return scores

    def segments(self, as_of: date) -> Counter[tuple[UUID, str]]:
        """What `engagement_segments` must say as of a date."""
        end = datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC) + timedelta(days=1)
        known = {key for key, events in self.events.items() if any(event.timestamp < end for event in events)}
        known |= {key for key, at in self.created.items() if at < end}
        scores = self.scores(as_of)
        return Counter((key[0], scores[key]["engagement_level"] if key in scores else "inactive") for key in known)

    def last_engagement(self, key: ContactKey, as_of: date) -> datetime | None:
        """When a contact last did something that earns points, whenever that was."""
        times = [e.timestamp for e in self.events.get(key, []) if e.day <= as_of and e.event_type in _POINTS]
        return max(times, default=None)

    def written(self, as_of: date) -> dict[ContactKey, tuple[int, datetime | None]]:
        """What the platform's contacts must show."""
        scores = self.scores(as_of)
        return {
            key: (scores[key]["engagement_score"] if key in scores else 0, self.last_engagement(key, as_of))
            for key in self.created
        }


def _score(events: list[Event], as_of: date) -> Row:
    worth: defaultdict[str, Fraction] = defaultdict(Fraction)
    by_people = Fraction()
    for event in events:
        points = _POINTS.get(event.event_type, 0) * max(Fraction(1, 10), 1 - Fraction((as_of - event.day).days, 90))
        worth[event.event_type] += points
        if not (event.is_machine and event.event_type in ("message.opened", "link.clicked")):
            by_people += points
    score = half_away_from_zero(sum(worth.values(), Fraction()))
    return {
        "engagement_score": score,
        "engagement_level": "high"
        if score >= 100
        else "medium"
        if score >= 50
        else "low"
        if score >= 10
        else "inactive",
        "human_score": half_away_from_zero(by_people),
        **{column: worth[event_type] for event_type, column in _PARTS.items()},
    }


def half_away_from_zero(value: Fraction) -> int:
    return int(value + Fraction(1, 2))


def rows(database: Database, as_of: date) -> dict[ContactKey, Row]:
    """What `engagement_scores` says as of a date."""
    return _by_contact(
        database, f"select tenant_id, {_COLUMNS} from analytics.engagement_scores where as_of_date = %s", as_of
    )


def answered(database: Database, as_of: date) -> dict[ContactKey, Row]:
    """What the function `engagement_as_of` says."""
    return _by_contact(database, f"select tenant_id, {_COLUMNS} from analytics.engagement_as_of(%s)", as_of)


def _by_contact(database: Database, statement: str, as_of: date) -> dict[ContactKey, Row]:
    with database.transaction() as connection:
        found = connection.cursor(row_factory=dict_row).execute(statement, (as_of,)).fetchall()  # type: ignore[arg-type]
    by_contact = {(row.pop("tenant_id"), row.pop("contact_id")): row for row in found}
    assert len(by_contact) == len(found)
    return by_contact


def assert_same(found: dict[ContactKey, Row], expected: dict[ContactKey, Row]) -> None:
    """Scores to the digit; parts to 12 decimals, and together to the score before rounding."""
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        parts = {column: row[column] for column in _PARTS.values()}
        stored = {column: found[key][column] for column in _PARTS.values()}
        assert {name: value for name, value in found[key].items() if name not in parts} == {
            name: value for name, value in row.items() if name not in parts
        }, key
        assert all(abs(Fraction(stored[column]) - parts[column]) <= Fraction(1, 10**12) for column in parts), key
        assert all((stored[column] == 0) == (parts[column] == 0) for column in parts), key
        total: Decimal = sum(stored.values(), Decimal())
        assert abs(Fraction(total) - sum(parts.values())) <= Fraction(1, 2 * 10**12), key
        assert half_away_from_zero(Fraction(total)) == row["engagement_score"], key


def kept_dates(database: Database) -> list[date]:
    with database.transaction() as connection:
        return [
            day
            for (day,) in connection.execute(
                "select distinct as_of_date from analytics_intermediate.int_engagement_parts order by 1"
            )
        ]


def segments(database: Database, as_of: date) -> Counter[tuple[UUID, str]]:
    """What `engagement_segments` says as of a date."""
    with database.transaction() as connection:
        found = connection.execute(
            "select tenant_id, engagement_level, contacts from analytics.engagement_segments where as_of_date = %s",
            (as_of,),
        ).fetchall()
    counted = Counter({(tenant, level): contacts for tenant, level, contacts in found})
    assert len(counted) == len(found)
    return counted


def written(database: Database) -> dict[ContactKey, tuple[int, datetime | None]]:
    """What the platform's contacts show."""
    with database.transaction() as connection:
        found = connection.execute("select tenant_id, id, engagement_score, last_engagement_at from iris.contacts")
        return {(tenant, contact): (score, last) for tenant, contact, score, last in found}

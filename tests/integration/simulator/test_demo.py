from datetime import UTC, date, datetime, timedelta

import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.simulator import DayTraffic, demo

NOW = datetime(2026, 10, 20, 7, 45, tzinfo=UTC)
HISTORY = date(2020, 1, 1)


def count(database: Database) -> tuple[object, ...]:
    with database.transaction() as connection:
        row = connection.execute(
            "select count(*), min(timestamp), max(timestamp) from iris.analytics_events"
        ).fetchone()
    assert row is not None
    return row


def test_the_demo_is_loaded_once_up_to_the_running_hour(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "EVENTS_PER_DAY", 1_000)
    loaded = demo.load_demo(database, days=2, now=NOW, history_start=HISTORY)
    assert loaded is not None
    events, first, last = count(database)
    assert events == loaded.accepted
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    assert timedelta() <= first - datetime(2026, 10, 18, 7, tzinfo=UTC) < timedelta(hours=2)
    assert timedelta() < datetime(2026, 10, 20, 7, tzinfo=UTC) - last < timedelta(hours=1)

    assert demo.load_demo(database, days=2, now=NOW + timedelta(days=1), history_start=HISTORY) is None
    assert count(database) == (events, first, last)


def test_a_demo_that_broke_off_is_taken_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "EVENTS_PER_DAY", 1_000)

    def break_off(_: DayTraffic) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.load_demo(database, days=2, now=NOW, history_start=HISTORY, on_day=break_off)
    part, _, _ = count(database)
    taken_up = demo.load_demo(database, days=2, now=NOW, history_start=HISTORY)
    assert taken_up is not None
    whole, _, _ = count(database)
    assert isinstance(part, int)
    assert whole == part + taken_up.accepted
    assert 0 < part < taken_up.accepted + part

"""What is asked of the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.windows import DAY, EPOCH, Window

MOST_DAYS = 3_660
MOST_TENANTS = 10_000
MOST_EVENTS_PER_DAY = 20_000_000
_EARLIEST = 7_300  # days from 1970: the end of 1989


class InvalidPlan(IrisError):
    """Traffic that cannot be simulated as asked."""


@dataclass(frozen=True)
class TrafficPlan:
    """A window onto an endless world of traffic: the same seed and sizes give the same days, whatever start and end.

    So a later plan with the same seed continues an earlier one. The window is cut to whole milliseconds.
    """

    start: datetime
    end: datetime
    tenants: int
    events_per_day: int
    """Good events of all tenants together, in the mean of a week."""
    seed: int = 1
    late: float = 0.01
    """Share of the events that arrive one to four days after they happened."""
    duplicates: float = 0.01
    """Share of the events that arrive a second time, within a day."""
    malformed: float = 0.001
    """Broken events for each good one."""

    def __post_init__(self) -> None:
        _require(self.start.tzinfo is not None and self.end.tzinfo is not None, "start and end need a time zone")
        _require(self.start < self.end, f"the end ({self.end}) must be after the start ({self.start})")
        _require(self.end - self.start <= MOST_DAYS * DAY, f"at most {MOST_DAYS} days")
        _require((self.start - EPOCH).days >= _EARLIEST, "no traffic before 1990")
        _require(0 < self.tenants <= MOST_TENANTS, f"between 1 and {MOST_TENANTS} tenants, not {self.tenants}")
        _require(
            0 < self.events_per_day <= MOST_EVENTS_PER_DAY,
            f"between 1 and {MOST_EVENTS_PER_DAY} events a day, not {self.events_per_day}",
        )
        _require(self.seed >= 0, f"a seed of 0 or more, not {self.seed}")
        for name, share in (("late", self.late), ("duplicates", self.duplicates), ("malformed", self.malformed)):
            _require(0 <= share <= 0.5, f"the share of {name} must be between 0 and 0.5, not {share}")

    @classmethod
    def of_last_days(
        cls, days: int, *, until: datetime, tenants: int, events_per_day: int, seed: int, **shares: float
    ) -> TrafficPlan:
        """`days` times 24 hours up to `until`."""
        _require(0 < days <= MOST_DAYS, f"between 1 and {MOST_DAYS} days, not {days}")
        start = until - timedelta(days=days)
        return cls(start, until, tenants=tenants, events_per_day=events_per_day, seed=seed, **shares)

    @property
    def window(self) -> Window:
        """The time that the traffic happens in."""
        return Window(self.start, self.end)


def _require(condition: bool, wanted: str) -> None:
    if not condition:
        raise InvalidPlan(f"cannot simulate that: {wanted}")

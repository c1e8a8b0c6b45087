"""A rule as a tenant writes it, checked on entry: what nobody could evaluate or deliver is refused with a reason."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from iris_pipelines.domain.alerts.metrics import WATCHABLE, Observation, Watchable
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.events import CHANNELS
from iris_pipelines.domain.metrics import Rate

LONGEST_WINDOW = 31 * 24 * 60
_EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\".]+(\.[^@\s,;<>\".]+)*\Z")
_PHONE = re.compile(r"\+[1-9]\d{6,14}\Z")
_SLACK_CHANNEL = re.compile(r"(#[a-z0-9_-]{1,80}|[CGD][A-Z0-9]{8,})\Z")
_TYPED = re.compile(r"(\w+)[:=]\s*(\S+)\s*\Z")
_ROUTING_KEY = re.compile(r"[A-Za-z0-9]{32}\Z")
_OPERATORS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "=": operator.eq,
}
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}\Z")


class InvalidRule(IrisError):
    """A rule that cannot be evaluated or delivered; the message says which part, and what it may be."""


class Severity(StrEnum):
    """How bad it is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class ActionType(StrEnum):
    """How somebody is told."""

    EMAIL = "email"
    SMS = "sms"
    WEBHOOK = "webhook"
    SLACK = "slack"
    PAGERDUTY = "pagerduty"
    APPRISE = "apprise"


class Action(BaseModel):
    """Somebody to tell, in one way; each recipient gets a message of its own, retried by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: ActionType
    recipients: tuple[str, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _recipients_can_be_reached(self) -> Action:
        for recipient in self.recipients:
            _check_recipient(self.type, recipient)
        if len(set(self.recipients)) < len(self.recipients):
            raise ValueError("a recipient is there twice")
        return self


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic reports a ValueError, not a TypeError
    return value


def _minutes(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number of minutes")  # noqa: TRY004
    return value


Minutes = Annotated[int, BeforeValidator(_minutes)]
_Lower = Annotated[str, AfterValidator(str.lower)]


class Condition(BaseModel):
    """When a rule fires: the metric over the last `time_window` minutes, compared with the threshold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    operator: Literal[">", "<", ">=", "<=", "="]
    threshold: Annotated[Decimal, BeforeValidator(_number), Field(ge=0, allow_inf_nan=False, max_digits=20)]
    time_window: Minutes = Field(ge=1, le=LONGEST_WINDOW, validation_alias=AliasChoices("time_window", "timeWindow"))
    channel: _Lower | None = None
    provider: _Lower | None = None
    campaign: UUID | None = Field(default=None, validation_alias=AliasChoices("campaign", "campaign_id"))
    min_volume: Annotated[int, BeforeValidator(_number)] = Field(default=0, ge=0)
    """With less than this behind the value, nothing can be said of it."""
    no_data: Literal["skip", "alert"] = "skip"
    """What it means that there is nothing to compute the metric from: nothing, or trouble."""
    hold: Minutes = Field(default=0, ge=0, le=24 * 60, alias="for")
    """Minutes for which it must hold before the rule fires."""
    cooldown: Minutes = Field(default=60, ge=1, le=7 * 24 * 60)
    """Minutes between reminders."""

    @field_validator("metric")
    @classmethod
    def _is_watchable(cls, name: str) -> str:
        if name not in WATCHABLE:
            raise ValueError(f"unknown metric {name!r}: use one of {', '.join(WATCHABLE)}")
        return name

    @field_validator("channel")
    @classmethod
    def _is_a_channel(cls, channel: str | None) -> str | None:
        if channel is not None and channel not in CHANNELS | {"unknown"}:
            raise ValueError(f"unknown channel {channel!r}: use one of {', '.join(sorted(CHANNELS))}")
        return channel

    @model_validator(mode="after")
    def _filters_fit_the_metric(self) -> Condition:
        if self.metric == "api_error_rate" and (self.channel or self.provider or self.campaign):
            raise ValueError("API requests have no channel, provider or campaign to filter by")
        return self

    @property
    def definition(self) -> Watchable:
        """The metric, as the registry has it."""
        return WATCHABLE[self.metric]

    def judge(self, observed: Observation) -> bool | None:
        """Whether the condition holds for what was observed; None when nothing can be said."""
        if observed.value is None:
            return True if self.no_data == "alert" else None
        if observed.volume < self.min_volume:
            return None
        return _OPERATORS[self.operator](observed.value, self.compared_threshold)

    @property
    def compared_threshold(self) -> Decimal:
        """What the published value is compared with: a rate has 2 decimals, and what reads the same is equal."""
        if self.operator == "=" and isinstance(self.definition, Rate):
            return self.threshold.quantize(Decimal("0.01"), ROUND_HALF_UP)
        return self.threshold


class QuietHours(BaseModel):
    """A span of the tenant's day, possibly over midnight, in which nobody is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: time
    end: time

    def hold(self, now: datetime, zone: ZoneInfo) -> bool:
        """Whether `now` lies in it."""
        local = now.astimezone(zone).time()
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


class Rule(BaseModel):
    """What a tenant wants to be told of, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_id: UUID
    id: UUID
    name: str = Field(min_length=1, max_length=200)
    condition: Condition
    actions: tuple[Action, ...] = ()
    severity: Severity = Severity.WARNING
    quiet_hours: QuietHours | None = None
    enabled: bool = True


def parse_rule(fields: dict[str, Any]) -> Rule:
    """A rule from what was typed or stored; raises InvalidRule with every problem in one sentence."""
    try:
        return Rule.model_validate(fields)
    except ValidationError as error:
        raise InvalidRule(_problems(error)) from None


def parse_actions(actions: Any) -> tuple[Action, ...]:
    """The setting `alert_actions`; raises InvalidRule."""
    if not isinstance(actions, list):
        raise InvalidRule('alert_actions must be a list such as [{"type": "email", "recipients": ["ops@example.org"]}]')
    try:
        return tuple(Action.model_validate(action) for action in actions)
    except ValidationError as error:
        raise InvalidRule(_problems(error)) from None


def actions_for(recipients: Sequence[str]) -> tuple[Action, ...]:
    """Actions from what was typed, such as `email:ada@example.org`, one for each type; raises InvalidRule."""
    by_type: dict[str, list[str]] = {}
    for text in recipients:
        match = _TYPED.match(text)
        if match is None or match[1] not in set(ActionType):
            raise InvalidRule(
                f"{text!r} tells nobody: expected type:recipient, such as email:ada@example.org; "
                f"types are {', '.join(ActionType)}"
            )
        by_type.setdefault(match[1], []).append(match[2])
    return parse_actions([{"type": kind, "recipients": found} for kind, found in by_type.items()])


def _problems(error: ValidationError) -> str:
    return "; ".join(
        ": ".join(filter(None, (".".join(map(str, each["loc"])), _sentence(each["msg"])))) for each in error.errors()
    )


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")


def _check_recipient(kind: ActionType, recipient: str) -> None:
    match kind:
        case ActionType.EMAIL if not _EMAIL.match(recipient) or len(recipient) > 254:
            raise ValueError(f"{recipient!r} is no email address")
        case ActionType.SMS if not _PHONE.match(recipient):
            raise ValueError(f"{recipient!r} is no phone number: use +4915112345678")
        case ActionType.WEBHOOK if not _is_url(recipient):
            raise ValueError("a webhook needs an http:// or https:// URL without user name")
        case ActionType.SLACK if not (_SLACK_CHANNEL.match(recipient) or _is_url(recipient)):
            raise ValueError("Slack needs the URL of an incoming webhook, or a channel such as #ops")
        case ActionType.PAGERDUTY if not _ROUTING_KEY.match(recipient):
            raise ValueError("PagerDuty needs the 32 characters of an integration key")
        case ActionType.APPRISE if not _NAME.match(recipient):
            raise ValueError(f"{recipient!r} is no name of a target in IRIS_APPRISE_TARGETS")
        case _:
            pass


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.username or parts.password)

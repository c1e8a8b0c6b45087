"""The providers a message can go by: what each delivers, how fast, for how much, and how it words a failure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from iris_pipelines.simulator.draws import lognormal_table

CHANNELS = ("sms", "email", "voice", "social", "push", "whatsapp")
SMS, EMAIL, VOICE, SOCIAL, PUSH, WHATSAPP = range(6)


@dataclass(frozen=True)
class Route:
    """One provider on one channel."""

    channel: int
    provider: str
    weight: float
    delivery_rate: float
    latency_ms: float
    """Median time from sent to delivered."""
    spread: float
    """Sigma of the lognormal latency."""
    price: float
    """US dollars a message, or a segment of a text, to the US."""
    id_prefix: str
    errors: tuple[tuple[str, str, float], ...]
    """Code, message and weight of its failures."""


_TWILIO_SMS = (
    ("30003", "Unreachable destination handset", 0.38),
    ("30005", "Unknown destination handset", 0.27),
    ("30006", "Landline or unreachable carrier", 0.15),
    ("30007", "Message filtered by the carrier", 0.14),
    ("30008", "Unknown error", 0.06),
)
_TELNYX_SMS = (
    ("40001", "Not routable", 0.2),
    ("40002", "Blocked as spam", 0.2),
    ("40008", "Undeliverable", 0.5),
    ("40300", "Blocked due to STOP message", 0.1),
)
_VONAGE_SMS = (("1", "Unknown", 0.2), ("2", "Absent subscriber", 0.5), ("6", "Anti-spam rejection", 0.3))
_MAIL = (
    ("550", "5.7.1 Message rejected as spam", 0.5),
    ("554", "5.7.9 DMARC policy of the domain", 0.3),
    ("451", "4.7.650 Rate limited, gave up after 72 hours", 0.2),
)
_CALL = (
    ("486", "Busy here", 0.4),
    ("480", "Temporarily unavailable", 0.35),
    ("404", "Not found", 0.15),
    ("603", "Decline", 0.1),
)
_META = (
    ("131026", "Message undeliverable", 0.6),
    ("131047", "Re-engagement message", 0.25),
    ("131049", "Not delivered to maintain healthy ecosystem engagement", 0.15),
)
_FCM = (("UNREGISTERED", "Requested entity was not found", 0.8), ("QUOTA_EXCEEDED", "Sending limit exceeded", 0.2))
_APNS = (
    ("Unregistered", "The device token is inactive", 0.75),
    ("BadDeviceToken", "The device token is invalid", 0.25),
)

ROUTES = (
    Route(SMS, "twilio", 0.50, 0.972, 3200, 0.80, 0.007900, "SM", _TWILIO_SMS),
    Route(SMS, "telnyx", 0.30, 0.966, 2600, 0.75, 0.004000, "tx-", _TELNYX_SMS),
    Route(SMS, "vonage", 0.20, 0.951, 4300, 0.95, 0.006800, "vn-", _VONAGE_SMS),
    Route(EMAIL, "sendgrid", 0.40, 0.978, 1900, 0.90, 0.000400, "sg-", _MAIL),
    Route(EMAIL, "ses", 0.32, 0.982, 1500, 0.80, 0.000100, "ses-", _MAIL),
    Route(EMAIL, "mailgun", 0.16, 0.969, 2400, 1.00, 0.000800, "mg-", _MAIL),
    Route(EMAIL, "postmark", 0.12, 0.988, 1100, 0.60, 0.001250, "pm-", _MAIL),
    Route(VOICE, "twilio", 0.55, 0.930, 6800, 0.45, 0.014000, "CA", _CALL),
    Route(VOICE, "telnyx", 0.45, 0.915, 6100, 0.50, 0.007000, "tx-", _CALL),
    Route(SOCIAL, "meta", 0.75, 0.985, 850, 0.70, 0.0, "m_", _META),
    Route(SOCIAL, "x", 0.25, 0.970, 1300, 0.80, 0.000500, "x-", _META),
    Route(PUSH, "fcm", 0.55, 0.925, 620, 0.90, 0.0, "fcm-", _FCM),
    Route(PUSH, "apns", 0.45, 0.951, 410, 0.80, 0.0, "apns-", _APNS),
    Route(WHATSAPP, "meta", 0.70, 0.979, 1500, 0.80, 0.014700, "wamid.", _META),
    Route(WHATSAPP, "twilio", 0.30, 0.973, 1950, 0.85, 0.019700, "SM", _TWILIO_SMS),
)

PROVIDERS = tuple(dict.fromkeys(route.provider for route in ROUTES))
PROVIDER_OF_ROUTE = np.array([PROVIDERS.index(route.provider) for route in ROUTES], dtype=np.int64)
CHANNEL_OF_ROUTE = np.array([route.channel for route in ROUTES], dtype=np.int64)
ROUTES_OF_CHANNEL = tuple(
    tuple(index for index, route in enumerate(ROUTES) if route.channel == channel) for channel in range(len(CHANNELS))
)
DELIVERY_RATES = np.array([route.delivery_rate for route in ROUTES])
LATENCIES = np.stack([lognormal_table(route.latency_ms, route.spread) for route in ROUTES])

HARD_BOUNCES = (
    ("550", "5.1.1 The email account does not exist", "NoEmail", 0.7),
    ("550", "5.1.2 The domain does not exist", "General", 0.3),
)
SOFT_BOUNCES = (
    ("452", "4.2.2 The mailbox is full", "MailboxFull", 0.55),
    ("421", "4.4.2 Connection timed out", "General", 0.3),
    ("552", "5.3.4 The message is too large", "MessageTooLarge", 0.15),
)
INVALID_RECIPIENT = ("INVALID_RECIPIENT", "The address is not valid for this channel")

ERRORS = tuple(
    dict.fromkeys(
        [(code, message) for route in ROUTES for code, message, _ in route.errors]
        + [(code, message) for code, message, _, _ in HARD_BOUNCES + SOFT_BOUNCES]
        + [INVALID_RECIPIENT]
    )
)
ERROR_CODE = tuple(code for code, _ in ERRORS)
ERROR_MESSAGE = tuple(message for _, message in ERRORS)

# For each route, the index in ERRORS that each of a hundred equal parts of the chance leads to.
_PARTS = (np.arange(100) + 0.5) / 100
FAILURES = np.stack(
    [
        np.array([ERRORS.index((code, message)) for code, message, _ in route.errors])[
            np.searchsorted(np.cumsum([weight for _, _, weight in route.errors])[:-1], _PARTS)
        ]
        for route in ROUTES
    ]
)

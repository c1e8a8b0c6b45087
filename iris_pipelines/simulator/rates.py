"""How people, machines and networks behave: every share of the simulation that a plan does not decide.

docs/simulator.md shows the same figures, and a test compares what comes out with them.
"""

from __future__ import annotations

import numpy as np

from iris_pipelines.simulator.draws import lognormal_table

# Traffic. A campaign's messages come in waves, the others whenever something happens.
ZIPF_EXPONENT = 1.0
API_REQUEST_SHARE = 0.12
CAMPAIGN_SHARE = 0.45
CONTACTS_PER_DAILY_MESSAGE = 2.5
FEWEST_CONTACTS = 25
AT_HOME_SHARE = 0.85
"""Of a tenant's contacts live in its country; each is somewhere else for 6 % of the opens and clicks."""
AWAY_SHARE = 0.06
WEEKDAYS = (1.08, 1.12, 1.12, 1.10, 1.06, 0.78, 0.74)
"""Monday to Sunday, around a mean of 1."""
DAY_NOISE = 0.08
_NIGHT_AND_MORNING = (0.25, 0.15, 0.10, 0.10, 0.15, 0.35, 0.70, 1.20, 1.70, 1.90, 1.90, 1.75)
_AFTERNOON_AND_EVENING = (1.60, 1.60, 1.65, 1.60, 1.55, 1.55, 1.50, 1.35, 1.10, 0.80, 0.55, 0.35)
HOURS = _NIGHT_AND_MORNING + _AFTERNOON_AND_EVENING
"""Midnight to midnight in the tenant's time, around a mean of about 1."""
CHANNEL_MIX = (0.30, 0.42, 0.05, 0.05, 0.11, 0.07)
"""Of sms, email, voice, social, push, whatsapp; each tenant's own mix differs by up to a factor of 2.5."""
EVENTS_PER_MESSAGE = (2.38, 3.28, 2.76, 2.74, 2.42, 3.11)
"""By channel, as the shares below make it: what a plan's events a day mean in messages."""

# Campaigns: two to five begin each week.
CAMPAIGN_WEEKDAYS = (1.0, 1.3, 1.2, 1.2, 0.8, 0.3, 0.3)
CAMPAIGN_DAYS = (0.35, 0.25, 0.2, 0.1, 0.1)
"""One to five days, with a wave on each."""
WAVE_HOURS = (1, 2, 3, 5)
DRAFT_SHARE = 0.06
VARIANT_KINDS = (0.4, 0.35, 0.25)
"""No test, A against B, control against two treatments."""
DIFFERENT_SHARE = 0.5
LIFTS = (0.75, 1.2, 1.35)
"""What a treatment that makes a difference does to the chance of an open or click."""

# A message on its way.
QUEUED_SHARE = 0.25
SENDING_SHARE = 0.08
REFUSED_SHARE = 0.004
NO_RECEIPT_SHARE = 0.15
"""Of what is not delivered: the provider never says so."""
HARD_BOUNCE_SHARE = 0.45
SOFT_BOUNCE_SHARE = 0.35
"""Of the mails that are not delivered; the rest fails with an error code."""
DEAD_MAILBOX_SHARE = 0.006
"""Contacts whose mailbox does not exist: every mail to them bounces hard."""
HANDOVER_MS = lognormal_table(180, 0.6)
INCIDENT_SHARE = 0.03
"""Days on which a route has an incident: for one to three hours it delivers 0.55 of what it would."""
INCIDENT_FACTOR = 0.55
SEGMENTS = (0.72, 0.21, 0.07)

# People. The chances are multiplied by the contact's propensity and the campaign's and variant's factors.
OPEN_CHANCE = (0.0, 0.30, 0.0, 0.34, 0.07, 0.66)
CLICK_CHANCE = (0.055, 0.13, 0.0, 0.06, 0.30, 0.14)
"""Of delivered texts, of humanly opened others."""
BLIND_CLICK_CHANCE = 0.004
"""Of mails that were never seen to be opened (images blocked)."""
ANSWER_CHANCE = 0.46
REOPEN_CHANCE = 0.22
CONVERSION_CHANCE = 0.07
"""Of human clicks; of answered calls the half."""
VALUE_SHARE = 0.85
UNSUBSCRIBE_CHANCE = (0.0012, 0.004, 0.0, 0.0, 0.0, 0.0015)
COMPLAINT_CHANCE = 0.0007
PROPENSITY = lognormal_table(0.82, 0.55)
MOST_CHANCE = 0.97
SLEEP_SHARE = 0.8
"""Of what would be opened between midnight and 06:30 in the tenant's time, this share waits for the morning."""

_MINUTE = 60_000.0
OPEN_LAG_MS = np.stack(
    [
        lognormal_table(median * _MINUTE, sigma)
        for median, sigma in ((1, 1), (95, 1.7), (1, 1), (25, 1.5), (9, 1.4), (4, 1.3))
    ]
)
CLICK_LAG_MS = lognormal_table(0.6 * _MINUTE, 1.1)
TEXT_CLICK_LAG_MS = lognormal_table(7 * _MINUTE, 1.6)
REOPEN_LAG_MS = lognormal_table(300 * _MINUTE, 1.5)
CONVERSION_LAG_MS = lognormal_table(22 * _MINUTE, 1.9)
UNSUBSCRIBE_LAG_MS = lognormal_table(30 * _MINUTE, 1.5)
ANSWER_LAG_MS = lognormal_table(9_000, 0.4)
CALL_SECONDS = lognormal_table(75, 1.0)
VALUE = lognormal_table(42, 0.8)
LONGEST_LAG_DAYS = 7
"""Nothing happens to a message later than this after it was made."""

# Machines.
APPLE_PROXY_CHANCE = 0.88
GOOGLE_PROXY_CHANCE = 0.06
SCANNER_CHANCE = 0.55
"""Scanners of corporate mailboxes open and follow a link."""
MACHINE_LAG_MS = lognormal_table(3_500, 0.8)

# What webhooks leave out, and the loader fills in from the message.
TRACKED_WITHOUT_PROVIDER = 0.9
"""Opens, clicks, unsubscribes and conversions: tracking links do not know the provider."""
TRACKED_WITHOUT_CONTACT = 0.2
TRACKED_WITHOUT_CHANNEL = 0.06
RECEIPT_WITHOUT_CAMPAIGN = 0.35
"""Receipts of providers (delivered, failed, bounced): they do not know contact and campaign."""

# Calls of the API.
API_LATENCY_MS = lognormal_table(38, 0.9)
API_STATUS = (
    (200, 0.70),
    (201, 0.17),
    (204, 0.04),
    (304, 0.01),
    (400, 0.02),
    (401, 0.008),
    (404, 0.025),
    (422, 0.012),
    (429, 0.008),
    (500, 0.005),
    (503, 0.002),
)
API_ENDPOINTS = (
    ("POST", "/v1/messages", False, 0.34),
    ("GET", "/v1/messages/", True, 0.26),
    ("GET", "/v1/contacts/", True, 0.12),
    ("PATCH", "/v1/contacts/", True, 0.07),
    ("GET", "/v1/campaigns/", True, 0.06),
    ("POST", "/v1/contacts", False, 0.05),
    ("GET", "/v1/contacts", False, 0.05),
    ("DELETE", "/v1/contacts/", True, 0.02),
    ("GET", "/v1/account/balance", False, 0.03),
)
"""Method, path, whether an id follows, weight."""

"""What becomes of messages: sent, delivered or not, opened, clicked, converted; by people and by machines."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from iris_pipelines.simulator import rates
from iris_pipelines.simulator.clients import (
    APPLE_PROXY,
    BROWSER,
    DEVICES,
    GOOGLE_PROXY,
    MAIL_CLIENT,
    PEOPLE_ADDRESSES,
    PROXY_ADDRESSES,
    SCANNERS,
    USER_AGENTS,
)
from iris_pipelines.simulator.draws import Bools, Draws, Floats, Ints
from iris_pipelines.simulator.events import (
    ANSWERED,
    CLICKED,
    COMPLAINT,
    CONVERSION,
    DELIVERED,
    FAILED,
    HARD_BOUNCE,
    OPENED,
    QUEUED,
    SENDING,
    SENT,
    SOFT_BOUNCE,
    UNSUBSCRIBED,
    Occurrences,
    coded_events,
    in_one,
    no_events,
)
from iris_pipelines.simulator.geography import COUNTRIES, COUNTRY_OF_PLACE, PLACES
from iris_pipelines.simulator.messages import Messages
from iris_pipelines.simulator.providers import (
    DELIVERY_RATES,
    EMAIL,
    ERRORS,
    FAILURES,
    HARD_BOUNCES,
    INVALID_RECIPIENT,
    LATENCIES,
    PROVIDER_OF_ROUTE,
    PUSH,
    ROUTES,
    SMS,
    SOFT_BOUNCES,
    VOICE,
)
from iris_pipelines.simulator.text import Column, decimals, joined, joined_present, kept, looked_up, pc
from iris_pipelines.simulator.world import DAY_MS, INCIDENTS, JOURNEYS

_MAILBOX = np.array([["apple", "gmail", "corporate"].index(device.mailbox) for device in DEVICES])
_APPLE, _GMAIL, _CORPORATE = range(3)
_MAIL_CLIENTS = np.array(MAIL_CLIENT)
_BROWSERS = np.array(BROWSER)
_SCANNERS = np.array([USER_AGENTS.index(scanner) for scanner in SCANNERS])
_PRICES = np.array([route.price for route in ROUTES])
_TARIFFS = np.array([COUNTRIES[code].tariff for code in COUNTRY_OF_PLACE])
_IS_TRACKED = np.isin(np.arange(32), (OPENED, CLICKED, CONVERSION, UNSUBSCRIBED))
_IS_RECEIPT = np.isin(np.arange(32), (DELIVERED, FAILED, HARD_BOUNCE, SOFT_BOUNCE, COMPLAINT))
_SLEEPS_UNTIL_MS = 6.5 * 3_600_000


class Journeys:
    """The events of the messages of one tenant and one day, made one kind after the other."""

    def __init__(self, messages: Messages, day: int) -> None:
        self.messages = messages
        self.world = messages.world
        self.contacts = messages.world.contacts
        self.draws: Draws = messages.world.draws(JOURNEYS, day)
        self.day = day
        self.offset_ms = messages.world.utc_offset_ms(day)
        self.parts: list[Occurrences] = []

    def events(self) -> pa.Table:
        """Every event that the messages lead to."""
        if len(self.messages) == 0:
            return no_events()
        sent_ms = self._send()
        delivered, delivered_ms = self._deliver(sent_ms)
        openers, opened_ms = self._open(delivered, delivered_ms)
        clickers, clicked_ms, links = self._click(delivered, delivered_ms, openers, opened_ms)
        self._visit_by_machines(delivered, delivered_ms)
        self._answer(delivered, delivered_ms)
        self._convert(clickers, clicked_ms, links)
        self._leave(delivered, delivered_ms)
        return self._assembled()

    def _send(self) -> Ints:
        """Queued, sending, sent, or refused at once; returns when each message was sent, -1 for never."""
        messages, draws, count = self.messages, self.draws, len(self.messages)
        every = np.arange(count)
        queued = np.flatnonzero(draws.chance(rates.QUEUED_SHARE, count))
        self._add(QUEUED, queued, messages.created_ms[queued])
        handover = np.rint(draws.lognormal(rates.HANDOVER_MS, count)).astype(np.int64)
        sending = np.flatnonzero(draws.chance(rates.SENDING_SHARE, count))
        self._add(SENDING, sending, messages.created_ms[sending] + handover[sending] // 2)
        sent_ms = messages.created_ms + handover

        refused = draws.chance(rates.REFUSED_SHARE, count)
        self._add(
            FAILED,
            every[refused],
            sent_ms[refused],
            success=False,
            error=ERRORS.index(INVALID_RECIPIENT),
            data=pa.array(['{"stage":"validation"}'] * int(refused.sum()), pa.string()),
        )
        sent = every[~refused]
        segments = draws.pick(rates.SEGMENTS, count)[sent] + 1
        channel = messages.channel[sent]
        tariff = np.where(np.isin(channel, (EMAIL, PUSH)), 1.0, _TARIFFS[self.contacts.place[messages.contact[sent]]])
        units = np.where(channel == SMS, segments, 1)
        price = _PRICES[messages.route[sent]] * units * tariff * self.world.country.per_usd
        self._add(
            SENT,
            sent,
            sent_ms[sent],
            cost_micros=np.rint(price * 1_000_000).astype(np.int64),
            data=self._sent_data(sent, segments),
        )
        return np.where(refused, -1, sent_ms)

    def _sent_data(self, sent: Ints, segments: Ints) -> Column:
        channel = self.messages.channel[sent]
        variant = self.messages.variant.take(sent)
        templates = self.world.templates
        template = looked_up(templates, self.draws.below(len(templates), len(sent)))
        members = joined_present(
            joined(',"variant":"', variant, '"'),
            joined(',"template":"', kept(template, self.messages.campaign[sent] < 0), '"'),
            joined(',"segments":', kept(pa.array(segments).cast(pa.string()), channel == SMS)),
        )
        has_members = pc.not_equal(members, "").to_numpy(zero_copy_only=False)
        return kept(joined("{", pc.utf8_ltrim(members, ","), "}"), has_members)

    def _deliver(self, sent_ms: Ints) -> tuple[Ints, Ints]:
        """Delivered, bounced or failed; returns the messages that were delivered, and when."""
        messages, draws, count = self.messages, self.draws, len(self.messages)
        chance = DELIVERY_RATES[messages.route] * self._incident_factor()
        is_mail = messages.channel == EMAIL
        is_dead = is_mail & self.contacts.has_dead_mailbox[messages.contact]
        arrived = draws.chance(chance, count) & ~is_dead & (sent_ms >= 0)
        latency = np.rint(draws.lognormal(LATENCIES, count, rows=messages.route)).astype(np.int64) + 1
        at_ms = sent_ms + latency
        delivered = np.flatnonzero(arrived)
        self._add(DELIVERED, delivered, at_ms[delivered], duration_ms=(at_ms - messages.created_ms)[delivered])

        fate = draws.uniform(count)
        lost = ~arrived & (sent_ms >= 0) & (is_dead | (draws.uniform(count) >= rates.NO_RECEIPT_SHARE))
        hard = lost & is_mail & (is_dead | (fate < rates.HARD_BOUNCE_SHARE))
        soft = lost & is_mail & ~hard & (fate < rates.HARD_BOUNCE_SHARE + rates.SOFT_BOUNCE_SHARE)
        for kind, where, bounces in ((HARD_BOUNCE, hard, HARD_BOUNCES), (SOFT_BOUNCE, soft, SOFT_BOUNCES)):
            chosen = np.flatnonzero(where)
            which = draws.pick([weight for _, _, _, weight in bounces], len(chosen))
            data = pa.array([f'{{"bounce_subtype":"{subtype}"}}' for _, _, subtype, _ in bounces])
            error = np.array([ERRORS.index((code, message)) for code, message, _, _ in bounces])[which]
            self._add(kind, chosen, at_ms[chosen], success=False, error=error, data=looked_up(data, which))
        failed = np.flatnonzero(lost & ~hard & ~soft)
        error = FAILURES[messages.route[failed], draws.below(100, len(failed))]
        self._add(FAILED, failed, at_ms[failed], success=False, error=error)
        return delivered, at_ms[delivered]

    def _incident_factor(self) -> Floats:
        """What incidents of the providers leave of the chance that a message is delivered; the same for all tenants."""
        factor = np.ones(len(self.messages))
        hour = (self.messages.created_ms - self.day * DAY_MS) // 3_600_000
        for route in range(len(ROUTES)):
            draws = Draws(self.world.seed, INCIDENTS, route, self.day)
            happens, start, hours = draws.uniform(3)
            if happens < rates.INCIDENT_SHARE:
                first = int(start * 22)
                hit = (self.messages.route == route) & (hour >= first) & (hour < first + 1 + int(hours * 3))
                factor[hit] = rates.INCIDENT_FACTOR
        return factor

    def _open(self, delivered: Ints, delivered_ms: Ints) -> tuple[Ints, Ints]:
        """Opens by people, some twice; returns the messages that somebody opened, and when first."""
        draws = self.draws
        channel = self.messages.channel[delivered]
        chance = np.array(rates.OPEN_CHANCE)[channel] * self._eagerness(delivered)
        opened = draws.chance(np.minimum(chance, rates.MOST_CHANCE), len(delivered))
        openers = delivered[opened]
        lag = draws.lognormal(rates.OPEN_LAG_MS, len(openers), rows=channel[opened])
        at_ms = self._awake(delivered_ms[opened] + lag.astype(np.int64) + 400)
        self._add_by_people(OPENED, openers, at_ms, _MAIL_CLIENTS)

        again = np.flatnonzero(draws.chance(rates.REOPEN_CHANCE, len(openers)))
        later = at_ms[again] + draws.lognormal(rates.REOPEN_LAG_MS, len(again)).astype(np.int64)
        self._add_by_people(OPENED, openers[again], later, _MAIL_CLIENTS)
        return openers, at_ms

    def _click(self, delivered: Ints, delivered_ms: Ints, openers: Ints, opened_ms: Ints) -> tuple[Ints, Ints, Ints]:
        """Clicks by people: after an open, in texts, and in mails whose pixel was blocked."""
        messages, draws = self.messages, self.draws
        after_open = np.array(rates.CLICK_CHANCE)[messages.channel[openers]] * self._eagerness(openers)
        first = np.flatnonzero(draws.chance(np.minimum(after_open, rates.MOST_CHANCE), len(openers)))
        first_ms = opened_ms[first] + draws.lognormal(rates.CLICK_LAG_MS, len(first)).astype(np.int64) + 900

        channel = messages.channel[delivered]
        unseen = np.select([channel == SMS, channel == EMAIL], [rates.CLICK_CHANCE[SMS], rates.BLIND_CLICK_CHANCE], 0.0)
        direct = np.flatnonzero(draws.chance(unseen * self._eagerness(delivered), len(delivered)))
        lag = draws.lognormal(rates.TEXT_CLICK_LAG_MS, len(direct)).astype(np.int64) + 900
        direct_ms = self._awake(delivered_ms[direct] + lag)

        clickers = np.concatenate([openers[first], delivered[direct]])
        at_ms = np.concatenate([first_ms, direct_ms])
        links = self._links(len(clickers))
        self._add_by_people(CLICKED, clickers, at_ms, _BROWSERS, data=self._link_data(links))
        return clickers, at_ms, links

    def _visit_by_machines(self, delivered: Ints, delivered_ms: Ints) -> None:
        """Privacy proxies load the pixel, scanners follow a link too, within seconds of the delivery."""
        draws = self.draws
        mails = np.flatnonzero(self.messages.channel[delivered] == EMAIL)
        mailbox = _MAILBOX[self.contacts.device[self.messages.contact[delivered[mails]]]]
        chance = np.array((rates.APPLE_PROXY_CHANCE, rates.GOOGLE_PROXY_CHANCE, rates.SCANNER_CHANCE))[mailbox]
        comes = draws.chance(chance, len(mails))
        visited, mailbox = delivered[mails][comes], mailbox[comes]
        count = len(visited)
        at_ms = delivered_ms[mails][comes] + np.rint(draws.lognormal(rates.MACHINE_LAG_MS, count)).astype(np.int64)
        address = len(PEOPLE_ADDRESSES) + draws.below(len(PROXY_ADDRESSES), count)
        proxies = np.array([USER_AGENTS.index(APPLE_PROXY), USER_AGENTS.index(GOOGLE_PROXY)])
        scanner = _SCANNERS[draws.below(len(_SCANNERS), count)]
        agent = np.where(mailbox == _CORPORATE, scanner, proxies[np.minimum(mailbox, _GMAIL)])
        self._add(OPENED, visited, at_ms, user_agent=agent, address=address, is_machine=True)

        scanned = np.flatnonzero(mailbox == _CORPORATE)
        self._add(
            CLICKED,
            visited[scanned],
            at_ms[scanned] + 50 + draws.below(2_000, len(scanned)),
            user_agent=agent[scanned],
            address=address[scanned],
            data=self._link_data(self._links(len(scanned))),
            is_machine=True,
        )

    def _answer(self, delivered: Ints, delivered_ms: Ints) -> None:
        """Calls that somebody took."""
        draws = self.draws
        calls = np.flatnonzero(self.messages.channel[delivered] == VOICE)
        taken = calls[draws.chance(rates.ANSWER_CHANCE, len(calls))]
        at_ms = delivered_ms[taken] + np.rint(draws.lognormal(rates.ANSWER_LAG_MS, len(taken))).astype(np.int64)
        seconds = np.rint(draws.lognormal(rates.CALL_SECONDS, len(taken))).astype(np.int64)
        data = joined('{"call_seconds":', pa.array(seconds).cast(pa.string()), "}")
        self._add(ANSWERED, delivered[taken], at_ms, data=data)
        bought = np.flatnonzero(draws.chance(rates.CONVERSION_CHANCE / 2, len(taken)))
        self._add_conversions(delivered[taken[bought]], at_ms[bought] + seconds[bought] * 1000)

    def _convert(self, clickers: Ints, clicked_ms: Ints, links: Ints) -> None:
        """Some of those who clicked buy; the first link sells twice as well."""
        draws = self.draws
        chance = rates.CONVERSION_CHANCE * np.where(links == 0, 1.4, 0.8)
        buyers = np.flatnonzero(draws.chance(chance, len(clickers)))
        lag = draws.lognormal(rates.CONVERSION_LAG_MS, len(buyers)).astype(np.int64) + 5_000
        self._add_conversions(clickers[buyers], clicked_ms[buyers] + lag)

    def _add_conversions(self, messages: Ints, at_ms: Ints) -> None:
        draws, count = self.draws, len(messages)
        cents = np.rint(draws.lognormal(rates.VALUE, count) * self.world.country.per_usd * 100).astype(np.int64)
        value = decimals(cents, precision=14, scale=2).cast(pa.string())
        currency = self.world.country.currency
        order = joined('{"order_id":"o-', pa.array(draws.below(10**9, count)).cast(pa.string()), '"')
        with_value = joined(order, ',"value":', value, f',"currency":"{currency}"}}')
        data = pc.if_else(pa.array(draws.chance(rates.VALUE_SHARE, count)), with_value, joined(order, "}"))
        self._add(CONVERSION, messages, at_ms, data=data)

    def _leave(self, delivered: Ints, delivered_ms: Ints) -> None:
        """Unsubscribes and complaints."""
        draws = self.draws
        channel = self.messages.channel[delivered]
        leaving = np.flatnonzero(draws.chance(np.array(rates.UNSUBSCRIBE_CHANCE)[channel], len(delivered)))
        lag = draws.lognormal(rates.UNSUBSCRIBE_LAG_MS, len(leaving)).astype(np.int64)
        how = pa.array(['{"method":"keyword"}', '{"method":"one_click"}'])
        method = looked_up(how, (channel[leaving] == EMAIL).astype(np.int64))
        self._add(UNSUBSCRIBED, delivered[leaving], delivered_ms[leaving] + lag, data=method)

        chance = np.where(channel == EMAIL, rates.COMPLAINT_CHANCE, 0.0)
        complaining = np.flatnonzero(draws.chance(chance, len(delivered)))
        lag = draws.lognormal(rates.UNSUBSCRIBE_LAG_MS, len(complaining)).astype(np.int64)
        data = pa.array(['{"feedback_type":"abuse"}'] * len(complaining), pa.string())
        self._add(COMPLAINT, delivered[complaining], delivered_ms[complaining] + lag, success=False, data=data)

    def _eagerness(self, messages: Ints) -> Floats:
        """What the contact, the campaign and its variant do to the chance of an open or a click."""
        return self.contacts.propensity[self.messages.contact[messages]] * self.messages.lift[messages]

    def _awake(self, at_ms: Ints) -> Ints:
        """Most of what would be read at night is read in the morning."""
        local = (at_ms + self.offset_ms) % DAY_MS
        count = len(at_ms)
        waits = (local < _SLEEPS_UNTIL_MS) & self.draws.chance(rates.SLEEP_SHARE, count)
        morning = at_ms - local + int(_SLEEPS_UNTIL_MS) + self.draws.below(7_200_000, count)
        return np.where(waits, morning, at_ms)

    def _links(self, count: int) -> Ints:
        """Which of the tenant's links are followed: the first ones mostly."""
        return self.draws.pick([1 / (rank + 1) for rank in range(len(self.world.links))], count)

    def _link_data(self, links: Ints) -> Column:
        return joined('{"url":"', looked_up(self.world.links, links), '"}')

    def _add_by_people(
        self, kind: int, messages: Ints, at_ms: Ints, clients: Ints, *, data: Column | None = None
    ) -> None:
        """Events with the device and the place of the contact, who travels now and then."""
        draws, count = self.draws, len(messages)
        contact = self.messages.contact[messages]
        away = draws.chance(rates.AWAY_SHARE, count)
        place = np.where(away, draws.below(len(PLACES), count), self.contacts.place[contact])
        # A person's address stays the same for a day.
        address = (contact * 7919 + self.day) % len(PEOPLE_ADDRESSES)
        agent = clients[self.contacts.device[contact]]
        self._add(kind, messages, at_ms, user_agent=agent, address=address, place=place, data=data)

    def _add(
        self,
        kind: int,
        message: Ints,
        at_ms: Ints,
        *,
        data: Column | None = None,
        user_agent: Ints | int = -1,
        address: Ints | int = -1,
        place: Ints | int = -1,
        cost_micros: Ints | int = -1,
        duration_ms: Ints | int = -1,
        success: bool = True,
        error: Ints | int = -1,
        is_machine: bool = False,
    ) -> None:
        self.parts.append(
            Occurrences(
                kind,
                at_ms,
                message,
                data=data,
                user_agent=user_agent,
                address=address,
                place=place,
                cost_micros=cost_micros,
                duration_ms=duration_ms,
                success=success,
                error=error,
                is_machine=is_machine,
            )
        )

    def _assembled(self) -> pa.Table:
        """The parts in one table, without what is too late to matter, and without what webhooks leave out."""
        messages, parts = self.messages, self.parts
        message = in_one(parts, "message", np.int64)
        at_ms = in_one(parts, "at_ms", np.int64)
        kind = in_one(parts, "kind", np.int64)
        made_ms = messages.created_ms[message]
        count = len(message)
        ids = self.draws.uuids(count)
        lacks = self.draws.uniform(count)
        tracked, receipt = _IS_TRACKED[kind], _IS_RECEIPT[kind]
        nobody: Bools = (tracked & (lacks < rates.TRACKED_WITHOUT_CONTACT)) | (
            receipt & (lacks < rates.RECEIPT_WITHOUT_CAMPAIGN)
        )
        no_campaign = receipt & (lacks < rates.RECEIPT_WITHOUT_CAMPAIGN)
        no_channel = tracked & (lacks < rates.TRACKED_WITHOUT_CHANNEL)
        no_provider = tracked & (lacks < rates.TRACKED_WITHOUT_PROVIDER)
        data = pa.chunked_array(
            [pa.nulls(len(part), pa.string()) if part.data is None else part.data for part in parts]
        ).combine_chunks()
        rows = pa.array(message)
        table = coded_events(
            {
                "id": ids,
                "tenant": np.full(count, self.world.index),
                "kind": kind,
                "at_ms": at_ms,
                "made_ms": made_ms,
                "message_id": messages.ids.take(rows),
                "campaign_id": kept(messages.campaign_ids().take(rows), ~no_campaign),
                "contact_id": kept(self.contacts.ids.take(messages.contact[message]), ~nobody),
                "channel": np.where(no_channel, -1, messages.channel[message]),
                "provider": np.where(no_provider, -1, PROVIDER_OF_ROUTE[messages.route[message]]),
                "data": data,
                "address": in_one(parts, "address", np.int16),
                "user_agent": in_one(parts, "user_agent", np.int16),
                "place": in_one(parts, "place", np.int16),
                "cost_micros": in_one(parts, "cost_micros", np.int64),
                "duration_ms": in_one(parts, "duration_ms", np.int64),
                "success": in_one(parts, "success", np.bool_),
                "error": in_one(parts, "error", np.int16),
                "is_machine": in_one(parts, "is_machine", np.bool_),
            }
        )
        return table.filter(at_ms - made_ms < rates.LONGEST_LAG_DAYS * DAY_MS)

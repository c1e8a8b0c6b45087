"""Calls of the platform's API by tenants' own programs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from iris_pipelines.simulator import rates
from iris_pipelines.simulator.clients import PEOPLE_ADDRESSES, PROXY_ADDRESSES, SDKS, SERVER_ADDRESSES, USER_AGENTS
from iris_pipelines.simulator.events import API_REQUEST, coded_events, no_events
from iris_pipelines.simulator.messages import hours_of_day
from iris_pipelines.simulator.text import joined, looked_up, pc
from iris_pipelines.simulator.world import API_REQUESTS, TenantWorld

_METHODS = pa.array([method for method, _, _, _ in rates.API_ENDPOINTS])
_PATHS = pa.array([path for _, path, _, _ in rates.API_ENDPOINTS])
_HAS_ID = np.array([has_id for _, _, has_id, _ in rates.API_ENDPOINTS])
_ENDPOINT_WEIGHTS = [weight for _, _, _, weight in rates.API_ENDPOINTS]
_STATUS = np.array([status for status, _ in rates.API_STATUS])
_STATUS_WEIGHTS = [weight for _, weight in rates.API_STATUS]
_SDKS = pa.array(SDKS)
_FIRST_SDK = USER_AGENTS.index(SDKS[0])


def api_requests_of(world: TenantWorld, day: int) -> pa.Table:
    """The `api.request` events of one tenant and one UTC day."""
    draws = world.draws(API_REQUESTS, day)
    weekday = (day + 3) % 7
    count = draws.rounded(world.events_per_day * rates.API_REQUEST_SHARE * rates.WEEKDAYS[weekday])
    if count == 0:
        return no_events()
    at_ms = hours_of_day(world, draws, day, count)
    endpoint = draws.pick(_ENDPOINT_WEIGHTS, count)
    status = _STATUS[draws.pick(_STATUS_WEIGHTS, count)]
    # Each program of a tenant runs on a few servers of its own.
    program = draws.pick((0.55, 0.25, 0.12, 0.08), count)
    sdk = (program + world.index) % len(SDKS)
    server = (world.index * 37 + program * 11 + draws.below(4, count)) % len(SERVER_ADDRESSES)
    slow = np.where(status >= 500, 12.0, 1.0)
    targets = pc.if_else(pa.array(_HAS_ID[endpoint]), draws.uuids(count), "")
    data = joined(
        '{"method":"',
        looked_up(_METHODS, endpoint),
        '","path":"',
        looked_up(_PATHS, endpoint),
        targets,
        '","status_code":',
        pa.array(status).cast(pa.string()),
        ',"user_agent":"',
        looked_up(_SDKS, sdk),
        '"}',
    )
    nothing = pa.nulls(count, pa.string())
    none = np.full(count, -1)
    return coded_events(
        {
            "id": draws.uuids(count),
            "tenant": np.full(count, world.index),
            "kind": np.full(count, API_REQUEST),
            "at_ms": at_ms,
            "made_ms": at_ms,
            "message_id": nothing,
            "campaign_id": nothing,
            "contact_id": nothing,
            "channel": none,
            "provider": none,
            "data": data,
            "address": len(PEOPLE_ADDRESSES) + len(PROXY_ADDRESSES) + server,
            "user_agent": _FIRST_SDK + sdk,
            "place": none,
            "cost_micros": none,
            "duration_ms": np.rint(draws.lognormal(rates.API_LATENCY_MS, count) * slow).astype(np.int64) + 1,
            "success": status < 400,
            "error": none,
            "is_machine": np.zeros(count, dtype=np.bool_),
        }
    )

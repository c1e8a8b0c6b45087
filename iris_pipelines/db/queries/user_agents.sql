-- name: undescribed_user_agents(window_start, window_end, parser_version, rules_version)
-- User agents of a window's opens and clicks that are not described, or were by another release.
-- In two steps, because the user agent stands far behind in the row: only that of opens and clicks is worth a look.
with visits as materialized (
    select events.user_agent
    from iris.analytics_events as events
    where
        events.timestamp >= :window_start
        and events.timestamp < :window_end
        and events.event_type in ('message.opened', 'link.clicked')
),

seen as (
    select distinct user_agent
    from visits
    where user_agent <> ''
)

select seen.user_agent
from seen
where
    not exists (
        select
        from iris.user_agents as known
        where
            known.user_agent_md5 = md5(seen.user_agent)::uuid
            and known.parser_version = :parser_version
            and known.rules_version >= :rules_version
    );

-- name: outdated_user_agents(after, parser_version, rules_version, at_most)
-- User agents that another release described, from one on.
select known.user_agent
from iris.user_agents as known
where
    known.user_agent > :after
    and (known.parser_version <> :parser_version or known.rules_version < :rules_version)
order by known.user_agent
limit :at_most;

-- name: store_user_agents(texts, device_types, systems, clients, proxies, reasons, parser_version, rules_version)!
-- A newer release's description is not replaced by an older one's.
insert into iris.user_agents as known (
    user_agent, device_type, os, client, proxy, machine_reason, parser_version, rules_version
)
select
    described.user_agent,
    described.device_type,
    described.os,
    described.client,
    described.proxy,
    described.machine_reason,
    :parser_version,
    :rules_version
from
    unnest(
        :texts::text[],
        :device_types::text[],
        :systems::text[],
        :clients::text[],
        :proxies::text[],
        :reasons::text[]
    ) as described (user_agent, device_type, os, client, proxy, machine_reason)
order by described.user_agent
on conflict (user_agent_md5) do update
    set
        device_type = excluded.device_type,
        os = excluded.os,
        client = excluded.client,
        proxy = excluded.proxy,
        machine_reason = excluded.machine_reason,
        parser_version = excluded.parser_version,
        rules_version = excluded.rules_version,
        described_at = excluded.described_at
    where known.rules_version <= excluded.rules_version;

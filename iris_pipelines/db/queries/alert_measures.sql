-- What windows of events add up to, for all rules at once. A window is a number: the events of window n are those at or
-- after the n-th of `window_starts`, which ascend. Whole closed hours that are not stale come from analytics_hourly,
-- the rest from the events, in one snapshot: together they are what the events alone would give.

-- name: compile_nothing()$
-- For this transaction: to compile these statements takes longer than to run them.
select set_config('jit', 'off', true);

-- name: hourly_rollup_exists()$
select
    to_regclass('analytics.analytics_hourly') is not null
    and exists (
        select from iris.event_consumers
        where consumer = 'analytics.analytics_hourly'
    );

-- name: stale_hours_between(window_start, window_end)
-- Hours of analytics_hourly that may not equal the events.
select stale.hour
from iris.stale_hours as stale
where
    stale.consumer = 'analytics.analytics_hourly'
    and stale.hour >= :window_start
    and stale.hour < :window_end
union
select touched.hour
from iris.touched_hours as touched
where
    touched.hour >= :window_start
    and touched.hour < :window_end;

-- name: measure_rollups(scope_nos, tenant_ids, window_nos, channels, providers, piece_windows, piece_starts, piece_ends)
-- The part of each scope that lies in hours which the rollup has.
with scopes as (
    select *
    from unnest(
        :scope_nos::bigint[], :tenant_ids::uuid[], :window_nos::int[], :channels::text[], :providers::text[]
    ) as scopes (scope_no, tenant_id, window_no, channel, provider)
),

pieces as (
    select *
    from unnest(:piece_windows::int[], :piece_starts::timestamptz[], :piece_ends::timestamptz[])
        as pieces (window_no, piece_start, piece_end)
),

tenant_windows as (
    select distinct
        tenant_id,
        window_no
    from scopes
),

-- Once for each window of a tenant, however many rules share it.
groups as materialized (
    select
        tenant_windows.tenant_id,
        tenant_windows.window_no,
        hours.*
    from tenant_windows
    inner join pieces on tenant_windows.window_no = pieces.window_no
    cross join lateral (
        select
            hourly.channel,
            hourly.provider,
            sum(hourly.messages_sent)::bigint as messages_sent,
            sum(hourly.messages_delivered)::bigint as messages_delivered,
            sum(hourly.messages_failed)::bigint as messages_failed,
            sum(hourly.messages_opened)::bigint as messages_opened,
            sum(hourly.messages_clicked)::bigint as messages_clicked,
            sum(hourly.messages_bounced)::bigint as messages_bounced,
            sum(hourly.messages_complained)::bigint as messages_complained,
            sum(hourly.total_cost) as total_cost
        from analytics.analytics_hourly as hourly
        where
            hourly.tenant_id = tenant_windows.tenant_id
            and hourly.timestamp >= pieces.piece_start
            and hourly.timestamp < pieces.piece_end
        group by hourly.channel, hourly.provider
    ) as hours
)

select
    scopes.scope_no,
    sum(groups.messages_sent)::bigint as messages_sent,
    sum(groups.messages_delivered)::bigint as messages_delivered,
    sum(groups.messages_failed)::bigint as messages_failed,
    sum(groups.messages_opened)::bigint as messages_opened,
    sum(groups.messages_clicked)::bigint as messages_clicked,
    sum(groups.messages_bounced)::bigint as messages_bounced,
    sum(groups.messages_complained)::bigint as messages_complained,
    sum(groups.total_cost) as total_cost
from scopes
inner join groups
    on
        scopes.tenant_id = groups.tenant_id
        and scopes.window_no = groups.window_no
        and (scopes.channel is null or scopes.channel = groups.channel)
        and (scopes.provider is null or scopes.provider = groups.provider)
group by scopes.scope_no;

-- name: measure_events(scope_nos, tenant_ids, window_nos, channels, providers, campaign_ids, asked_campaigns, window_starts, piece_windows, piece_starts, piece_ends, earliest, latest, of_requests)
-- The part of each scope that is read from the events. Pieces end where they end in every window that has them, and
-- begin with the hour, or with the window. The bounds of all of them let the planner leave out the other days.
with scopes as (
    select *
    from unnest(
        :scope_nos::bigint[],
        :tenant_ids::uuid[],
        :window_nos::int[],
        :channels::text[],
        :providers::text[],
        :campaign_ids::uuid[]
    ) as scopes (scope_no, tenant_id, window_no, channel, provider, campaign_id)
),

pieces as (
    select *
    from unnest(:piece_windows::int[], :piece_starts::timestamptz[], :piece_ends::timestamptz[])
        as pieces (window_no, piece_start, piece_end)
),

tenant_windows as (
    select distinct
        tenant_id,
        window_no
    from scopes
),

-- Each stretch of a tenant's time is read once, from the earliest window that wants it.
stretches as (
    select
        tenant_windows.tenant_id,
        pieces.piece_end,
        min(pieces.piece_start) as stretch_start
    from tenant_windows
    inner join pieces on tenant_windows.window_no = pieces.window_no
    group by tenant_windows.tenant_id, pieces.piece_end
),

-- Counted by type first: comparing each event with every type would cost more than to read it.
cells as materialized (
    select
        stretches.tenant_id,
        stretches.piece_end,
        counted.window_no,
        counted.channel,
        counted.provider,
        counted.campaign_id,
        sum(counted.events) filter (where counted.event_type = 'message.sent') as messages_sent,
        sum(counted.events) filter (where counted.event_type = 'message.delivered') as messages_delivered,
        sum(counted.events) filter (where counted.event_type = 'message.failed') as messages_failed,
        sum(counted.events) filter (where counted.event_type = 'message.opened') as messages_opened,
        sum(counted.events) filter (where counted.event_type = 'link.clicked') as messages_clicked,
        sum(counted.events) filter (where counted.event_type in ('email.hard_bounce', 'email.soft_bounce'))
            as messages_bounced,
        sum(counted.events) filter (where counted.event_type = 'email.complaint') as messages_complained,
        sum(counted.total_cost) as total_cost,
        sum(counted.durations) filter (where counted.event_type = 'message.delivered') as delivery_times,
        sum(counted.total_ms) filter (where counted.event_type = 'message.delivered') as delivery_ms,
        sum(counted.events) filter (where counted.event_type = 'api.request') as api_requests,
        sum(counted.failures) filter (where counted.event_type = 'api.request') as api_failures
    from stretches
    cross join
        lateral (
            select
                seen.window_no,
                seen.channel,
                seen.provider,
                seen.campaign_id,
                seen.event_type,
                count(*) as events,
                sum(seen.cost) as total_cost,
                count(seen.duration_ms) as durations,
                sum(seen.duration_ms) as total_ms,
                count(*) filter (where seen.success is not true) as failures
            from (
                select
                    events.event_type,
                    events.cost,
                    events.duration_ms,
                    events.success,
                    width_bucket(events.timestamp, :window_starts::timestamptz[]) as window_no,
                    coalesce(events.channel, 'unknown') as channel,
                    coalesce(events.provider, 'unknown') as provider,
                    case when events.campaign_id = any(:asked_campaigns::uuid[]) then events.campaign_id end
                        as campaign_id
                from iris.analytics_events as events
                where
                    events.tenant_id = stretches.tenant_id
                    and events.timestamp >= stretches.stretch_start
                    and events.timestamp < stretches.piece_end
                    and events.timestamp >= :earliest
                    and events.timestamp < :latest
                    and (events.event_type = 'api.request') = :of_requests
            ) as seen
            group by seen.window_no, seen.channel, seen.provider, seen.campaign_id, seen.event_type
        ) as counted
    group by
        stretches.tenant_id,
        stretches.piece_end,
        counted.window_no,
        counted.channel,
        counted.provider,
        counted.campaign_id
),

-- Windows nest: what is in a later one is in every earlier one that wants the stretch.
groups as materialized (
    select
        tenant_windows.tenant_id,
        tenant_windows.window_no,
        cells.channel,
        cells.provider,
        cells.campaign_id,
        sum(cells.messages_sent) as messages_sent,
        sum(cells.messages_delivered) as messages_delivered,
        sum(cells.messages_failed) as messages_failed,
        sum(cells.messages_opened) as messages_opened,
        sum(cells.messages_clicked) as messages_clicked,
        sum(cells.messages_bounced) as messages_bounced,
        sum(cells.messages_complained) as messages_complained,
        sum(cells.total_cost) as total_cost,
        sum(cells.delivery_times) as delivery_times,
        sum(cells.delivery_ms) as delivery_ms,
        sum(cells.api_requests) as api_requests,
        sum(cells.api_failures) as api_failures
    from tenant_windows
    inner join pieces on tenant_windows.window_no = pieces.window_no
    inner join cells
        on
            tenant_windows.tenant_id = cells.tenant_id
            and pieces.piece_end = cells.piece_end
            and tenant_windows.window_no <= cells.window_no
    group by tenant_windows.tenant_id, tenant_windows.window_no, cells.channel, cells.provider, cells.campaign_id
)

select
    scopes.scope_no,
    coalesce(sum(groups.messages_sent), 0)::bigint as messages_sent,
    coalesce(sum(groups.messages_delivered), 0)::bigint as messages_delivered,
    coalesce(sum(groups.messages_failed), 0)::bigint as messages_failed,
    coalesce(sum(groups.messages_opened), 0)::bigint as messages_opened,
    coalesce(sum(groups.messages_clicked), 0)::bigint as messages_clicked,
    coalesce(sum(groups.messages_bounced), 0)::bigint as messages_bounced,
    coalesce(sum(groups.messages_complained), 0)::bigint as messages_complained,
    sum(groups.total_cost) as total_cost,
    coalesce(sum(groups.delivery_times), 0)::bigint as delivery_times,
    coalesce(sum(groups.delivery_ms), 0) as delivery_ms,
    coalesce(sum(groups.api_requests), 0)::bigint as api_requests,
    coalesce(sum(groups.api_failures), 0)::bigint as api_failures
from scopes
inner join groups
    on
        scopes.tenant_id = groups.tenant_id
        and scopes.window_no = groups.window_no
        and (scopes.channel is null or scopes.channel = groups.channel)
        and (scopes.provider is null or scopes.provider = groups.provider)
        and (scopes.campaign_id is null or scopes.campaign_id = groups.campaign_id)
group by scopes.scope_no;

-- name: measure_percentiles(scope_nos, tenant_ids, window_starts, channels, providers, campaign_ids, window_end)
-- The 95th percentile of the delivery times of each scope; a percentile cannot be added up from parts.
select
    scopes.scope_no,
    times.delivery_times,
    times.p95_delivery_ms
from
    unnest(
        :scope_nos::bigint[],
        :tenant_ids::uuid[],
        :window_starts::timestamptz[],
        :channels::text[],
        :providers::text[],
        :campaign_ids::uuid[]
    ) as scopes (scope_no, tenant_id, window_start, channel, provider, campaign_id)
cross join lateral (
    select
        count(*) as delivery_times,
        (percentile_cont(0.95) within group (order by events.duration_ms))::numeric as p95_delivery_ms
    from iris.analytics_events as events
    where
        events.tenant_id = scopes.tenant_id
        and events.timestamp >= scopes.window_start
        and events.timestamp < :window_end
        and events.event_type = 'message.delivered'
        and events.duration_ms is not null
        and (scopes.channel is null or coalesce(events.channel, 'unknown') = scopes.channel)
        and (scopes.provider is null or coalesce(events.provider, 'unknown') = scopes.provider)
        and (scopes.campaign_id is null or events.campaign_id = scopes.campaign_id)
) as times;

-- name: act_as_consumer(consumer)$
-- For this transaction: the hours that it touches itself are no news to this consumer.
select set_config('iris.consumer', :consumer, true);

-- name: plan_for_each_window()$
-- For this transaction: an hour and a day are not to share a plan.
select set_config('plan_cache_mode', 'force_custom_plan', true);

-- name: lock_machine_verdicts(day)$
-- One at a time judges a day, until the end of the transaction.
select pg_advisory_xact_lock(hashtext('iris.machine_verdicts'), :day::date - date '2000-01-01');

-- name: forget_stale_hours(consumer, window_start, window_end)!
delete from iris.stale_hours
where
    consumer = :consumer
    and hour >= :window_start
    and hour < :window_end;

-- name: rules_version_of_day(day)$
-- The rules by which a day was judged.
select rules_version
from iris.machine_verdicts
where day = :day;

-- name: note_day_judged(day, rules_version)!
insert into iris.machine_verdicts (day, rules_version)
values (:day, :rules_version)
on conflict (day) do update set rules_version = excluded.rules_version, judged_at = clock_timestamp();

-- name: allow_nested_loops(allowed)$
-- For this transaction. The planner knows little of a day that is being filled, and a nested loop over what it takes
-- for one row and is thousands lasts seconds where a hash join lasts milliseconds.
select set_config('enable_nestloop', case when :allowed then 'on' else 'off' end, true);

-- name: changed_machine_verdicts(window_start, window_end, context_start, context_end, too_soon, one_by_one)
-- Judges the opens and clicks of a window and finds those whose verdict is another now. The context is the part of
-- the day whose events have a say in it.
with visits as materialized (
    select
        events.tenant_id,
        events.timestamp,
        events.id,
        events.event_type,
        events.message_id,
        events.channel,
        events.user_agent,
        events.is_machine,
        events.machine_reason,
        case when events.event_type = 'link.clicked' then events.event_data ->> 'url' end as url
    from iris.analytics_events as events
    where
        events.timestamp >= :context_start
        and events.timestamp < :context_end
        and events.event_type in ('message.opened', 'link.clicked')
),

unstated as materialized (
    select
        visits.tenant_id,
        visits.timestamp,
        visits.id,
        visits.message_id,
        visits.channel,
        visits.is_machine,
        visits.machine_reason,
        machines.machine_reason as agent_reason
    from visits
    left join iris.user_agents as machines
        on
            visits.user_agent = machines.user_agent
            and machines.machine_reason is not null
    where
        visits.timestamp >= :window_start
        and visits.timestamp < :window_end
        and visits.machine_reason is distinct from 'reported'
        and (not visits.is_machine or visits.machine_reason is not null)
),

-- Every click of a message, with the first and the last by name of the links that were followed around it.
clicks as (
    select
        visits.tenant_id,
        visits.timestamp,
        visits.id,
        min(visits.url) over around_it as first_url,
        max(visits.url) over around_it as last_url
    from visits
    where
        visits.event_type = 'link.clicked'
        and visits.message_id is not null
    window around_it as (
        partition by visits.tenant_id, visits.message_id
        order by visits.timestamp
        range between :one_by_one preceding and :one_by_one following  -- noqa: PRS
    )
),

many_links as (
    select
        tenant_id,
        timestamp,
        id
    from clicks
    where first_url <> last_url
),

too_soon as (
    select distinct
        unstated.tenant_id,
        unstated.timestamp,
        unstated.id
    from unstated
    inner join iris.analytics_events as arrivals
        on
            unstated.tenant_id = arrivals.tenant_id
            and unstated.message_id = arrivals.message_id
            and unstated.timestamp >= arrivals.timestamp
            and unstated.timestamp < arrivals.timestamp + :too_soon
    where
        unstated.agent_reason is null
        and unstated.channel = 'email'
        and arrivals.timestamp >= :context_start
        and arrivals.timestamp < :context_end
        and arrivals.event_type in ('message.sent', 'message.delivered')
),

verdicts as (
    select
        unstated.tenant_id,
        unstated.timestamp,
        unstated.id,
        unstated.is_machine,
        unstated.machine_reason,
        case
            when unstated.agent_reason is not null then unstated.agent_reason
            when many_links.id is not null then 'many_links'
            when too_soon.id is not null then 'too_soon'
        end as reason
    from unstated
    left join many_links
        on
            unstated.tenant_id = many_links.tenant_id
            and unstated.timestamp = many_links.timestamp
            and unstated.id = many_links.id
    left join too_soon
        on
            unstated.tenant_id = too_soon.tenant_id
            and unstated.timestamp = too_soon.timestamp
            and unstated.id = too_soon.id
)

select
    tenant_id,
    timestamp,
    id,
    reason
from verdicts
where
    reason is distinct from machine_reason
    or is_machine <> (reason is not null);

-- name: store_machine_verdicts(window_start, window_end, tenant_ids, timestamps, ids, reasons)!
-- What a sender stated, as 'reported' or by plain SQL, is never changed, also if it was while the day was judged.
update iris.analytics_events as events
set
    is_machine = changed.reason is not null,
    machine_reason = changed.reason
from
    unnest(
        :tenant_ids::uuid[],
        :timestamps::timestamptz[],
        :ids::uuid[],
        :reasons::text[]
    ) as changed (tenant_id, timestamp, id, reason)
where
    events.tenant_id = changed.tenant_id
    and events.timestamp = changed.timestamp
    and events.id = changed.id
    and events.timestamp >= :window_start
    and events.timestamp < :window_end
    and events.machine_reason is distinct from 'reported'
    and (not events.is_machine or events.machine_reason is not null);

-- name: count_visits(window_start, window_end)
-- How many opens and clicks of a window there are, by what was found of them.
select
    events.event_type,
    events.is_machine,
    coalesce(events.machine_reason, case when events.is_machine then 'reported' end) as reason,
    count(*) as events
from iris.analytics_events as events
where
    events.timestamp >= :window_start
    and events.timestamp < :window_end
    and events.event_type in ('message.opened', 'link.clicked')
group by 1, 2, 3
order by 1, 2, 3;

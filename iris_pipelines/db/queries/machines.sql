-- name: act_as_consumer(consumer)$
-- For this transaction: the hours that it touches itself are no news to this consumer.
select set_config('iris.consumer', :consumer, true);

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

-- name: correct_machine_verdicts(window_start, window_end, context_start, context_end, too_soon, one_by_one)!
-- Judges the opens and clicks of a window and changes those whose verdict is another now. The context is the part of
-- the day whose events have a say in it. What a sender stated, as 'reported' or by plain SQL, is never changed.
with visits as materialized (
    select
        events.tenant_id,
        events.timestamp,
        events.id,
        events.message_id,
        events.channel,
        events.is_machine,
        events.machine_reason,
        agents.machine_reason as agent_reason
    from iris.analytics_events as events
    left join
        (
            select
                machines.user_agent,
                machines.machine_reason
            from iris.user_agents as machines
            where machines.machine_reason is not null
        ) as agents
        on events.user_agent = agents.user_agent
    where
        events.timestamp >= :window_start
        and events.timestamp < :window_end
        and events.event_type in ('message.opened', 'link.clicked')
        and events.machine_reason is distinct from 'reported'
        and (not events.is_machine or events.machine_reason is not null)
),

-- Every click of a message with other links of it around it.
clicks as (
    select
        events.tenant_id,
        events.timestamp,
        events.id,
        min(events.event_data ->> 'url') over around_it as first_url,
        max(events.event_data ->> 'url') over around_it as last_url
    from iris.analytics_events as events
    where
        events.timestamp >= :context_start
        and events.timestamp < :context_end
        and events.event_type = 'link.clicked'
        and events.message_id is not null
    window around_it as (
        partition by events.tenant_id, events.message_id
        order by events.timestamp
        range between :one_by_one preceding and :one_by_one following  -- noqa: PRS
    )
),

many_links as materialized (
    select
        tenant_id,
        timestamp,
        id
    from clicks
    where first_url <> last_url
),

too_soon as materialized (
    select distinct
        visits.tenant_id,
        visits.timestamp,
        visits.id
    from visits
    inner join iris.analytics_events as arrivals
        on
            visits.tenant_id = arrivals.tenant_id
            and visits.message_id = arrivals.message_id
            and visits.timestamp >= arrivals.timestamp
            and visits.timestamp < arrivals.timestamp + :too_soon
    where
        visits.agent_reason is null
        and visits.channel = 'email'
        and arrivals.timestamp >= :context_start
        and arrivals.timestamp < :context_end
        and arrivals.event_type in ('message.sent', 'message.delivered')
),

verdicts as (
    select
        visits.tenant_id,
        visits.timestamp,
        visits.id,
        visits.is_machine,
        visits.machine_reason as reason_before,
        case
            when visits.agent_reason is not null then visits.agent_reason
            when many_links.id is not null then 'many_links'
            when too_soon.id is not null then 'too_soon'
        end as reason
    from visits
    left join many_links
        on
            visits.tenant_id = many_links.tenant_id
            and visits.timestamp = many_links.timestamp
            and visits.id = many_links.id
    left join too_soon
        on
            visits.tenant_id = too_soon.tenant_id
            and visits.timestamp = too_soon.timestamp
            and visits.id = too_soon.id
),

changed as materialized (
    select
        tenant_id,
        timestamp,
        id,
        reason
    from verdicts
    where
        reason is distinct from reason_before
        or is_machine <> (reason is not null)
)

update iris.analytics_events as events
set
    is_machine = changed.reason is not null,
    machine_reason = changed.reason
from changed
where
    events.tenant_id = changed.tenant_id
    and events.timestamp = changed.timestamp
    and events.id = changed.id
    and events.timestamp >= :window_start
    and events.timestamp < :window_end
    -- Its sender may have spoken up meanwhile.
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

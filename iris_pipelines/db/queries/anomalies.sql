-- name: first_uncounted_slot(since, before)$
-- The first slot since an instant that has not been counted, null when all are.
select min(slots.slot)
from
    generate_series(:since::timestamptz, :before::timestamptz - interval '15 minutes', interval '15 minutes')
        as slots (slot)
where not exists (
    select from iris.counted_cohort_slots as counted
    where counted.slot = slots.slot
);

-- name: forget_cohorts(window_start, window_end)!
with forgotten as (
    delete from iris.counted_cohort_slots
    where slot >= :window_start and slot < :window_end
)

delete from iris.send_cohorts
where slot >= :window_start and slot < :window_end;

-- name: count_cohorts(window_start, window_end, maturity)!
-- Each message once, in the slot in which it was first sent.
insert into iris.send_cohorts (tenant_id, slot, channel, sent, delivered)
with sent as (
    select
        events.tenant_id,
        events.message_id,
        min(events.timestamp) as sent_at,
        (array_agg(coalesce(events.channel, 'unknown') order by events.timestamp, events.id))[1] as channel
    from iris.analytics_events as events
    where
        events.timestamp >= :window_start
        and events.timestamp < :window_end
        and events.event_type = 'message.sent'
        and events.message_id is not null
    group by events.tenant_id, events.message_id
),

delivered as (
    select
        events.tenant_id,
        events.message_id,
        min(events.timestamp) as delivered_at
    from iris.analytics_events as events
    where
        events.timestamp >= :window_start
        and events.timestamp < :window_end::timestamptz + :maturity
        and events.event_type = 'message.delivered'
        and events.message_id is not null
    group by events.tenant_id, events.message_id
)

select
    sent.tenant_id,
    date_bin('15 minutes', sent.sent_at, timestamptz '2000-01-01 00:00:00+00') as slot,
    sent.channel,
    count(*) as sent,
    count(*) filter (where delivered.delivered_at < sent.sent_at + :maturity) as delivered
from sent
left join delivered
    on
        sent.tenant_id = delivered.tenant_id
        and sent.message_id = delivered.message_id
group by sent.tenant_id, slot, sent.channel;

-- name: note_counted_slots(window_start, window_end)!
insert into iris.counted_cohort_slots (slot)
select slots.slot
from
    generate_series(:window_start::timestamptz, :window_end::timestamptz - interval '15 minutes', interval '15 minutes')
        as slots (slot);

-- name: forget_old_cohorts(before)!
with forgotten as (
    delete from iris.counted_cohort_slots
    where slot < :before
),

baselines as (
    delete from iris.delivery_baselines
    where day < (:before::timestamptz at time zone 'UTC')::date
)

delete from iris.send_cohorts
where slot < :before;

-- name: cohorts_between(window_start, window_end)
select
    cohorts.tenant_id,
    cohorts.channel,
    cohorts.slot,
    cohorts.sent,
    cohorts.delivered
from iris.send_cohorts as cohorts
where
    cohorts.slot >= :window_start
    and cohorts.slot < :window_end
order by cohorts.tenant_id, cohorts.channel, cohorts.slot;

-- name: last_cohorts(tenant_ids, channels, before)
-- When each of these channels last sent something.
select
    asked.tenant_id,
    asked.channel,
    last.slot
from unnest(:tenant_ids::uuid[], :channels::text[]) as asked (tenant_id, channel)
cross join
    lateral (
        select max(cohorts.slot) as slot
        from iris.send_cohorts as cohorts
        where
            cohorts.tenant_id = asked.tenant_id
            and cohorts.channel = asked.channel
            and cohorts.slot < :before
    ) as last
where last.slot is not null;

-- name: tenants_with_cohorts(window_start, window_end)
select distinct cohorts.tenant_id
from iris.send_cohorts as cohorts
where
    cohorts.slot >= :window_start
    and cohorts.slot < :window_end
order by cohorts.tenant_id;

-- name: cohorts_of_tenant(tenant_id, window_start, window_end)
select
    cohorts.channel,
    ((extract(epoch from cohorts.slot) - extract(epoch from :window_start::timestamptz)) / 900)::int as slot_no,
    cohorts.sent,
    cohorts.delivered
from iris.send_cohorts as cohorts
where
    cohorts.tenant_id = :tenant_id
    and cohorts.slot >= :window_start
    and cohorts.slot < :window_end
order by cohorts.channel;

-- name: forget_baselines(day)!
delete from iris.delivery_baselines
where day = :day;

-- name: insert_baseline(tenant_id, day, channel, rates, weights, volumes, hourly_correlation, long_correlation, longest_silence, sent)*!
insert into iris.delivery_baselines (
    tenant_id,
    day,
    channel,
    rates,
    weights,
    volumes,
    hourly_correlation,
    long_correlation,
    longest_silence,
    sent
)
values (
    :tenant_id,
    :day,
    :channel,
    :rates,
    :weights,
    :volumes,
    :hourly_correlation,
    :long_correlation,
    :longest_silence,
    :sent
);

-- name: latest_baselines(since)
-- The newest baseline of each tenant and channel, unless it is too old to say what is normal now.
select distinct on (baselines.tenant_id, baselines.channel)
    baselines.tenant_id,
    baselines.channel,
    baselines.rates,
    baselines.weights,
    baselines.volumes,
    baselines.hourly_correlation,
    baselines.long_correlation,
    baselines.longest_silence,
    baselines.sent
from iris.delivery_baselines as baselines
where baselines.day >= :since
order by baselines.tenant_id asc, baselines.channel asc, baselines.day desc;

-- name: baselines_of_day(day)
select
    baselines.tenant_id,
    baselines.channel,
    baselines.rates,
    baselines.sent
from iris.delivery_baselines as baselines
where baselines.day = :day;

-- name: channels_that_send(window_start, window_end, least)
-- Those that need a baseline.
select
    cohorts.tenant_id,
    cohorts.channel
from iris.send_cohorts as cohorts
where
    cohorts.slot >= :window_start
    and cohorts.slot < :window_end
group by cohorts.tenant_id, cohorts.channel
having sum(cohorts.sent) >= :least;

-- name: resolved_since(key_pattern, since)
-- When incidents ended lately.
select
    alerts.tenant_id,
    alerts.incident_key,
    max(alerts.resolved_at) as resolved_at
from iris.system_alerts as alerts
where
    alerts.status = 'resolved'
    and alerts.incident_key like :key_pattern
    and alerts.resolved_at >= :since
group by alerts.tenant_id, alerts.incident_key;

-- name: cohort_breakdown(tenant_id, channel, window_start, window_end, reference_start, maturity)
-- What became of the messages of a window, and of those of the time before it.
with sent as (
    select
        events.message_id,
        min(events.timestamp) as sent_at,
        (array_agg(coalesce(events.provider, 'unknown') order by events.timestamp, events.id))[1] as provider,
        (array_agg(
            coalesce(events.geo_location ->> 'country', events.event_data ->> 'country', 'unknown')
            order by events.timestamp, events.id
        ))[1] as country
    from iris.analytics_events as events
    where
        events.tenant_id = :tenant_id
        and events.timestamp >= :reference_start
        and events.timestamp < :window_end
        and events.event_type = 'message.sent'
        and coalesce(events.channel, 'unknown') = :channel
        and events.message_id is not null
    group by events.message_id
),

fates as (
    select
        events.message_id,
        min(events.timestamp) filter (where events.event_type = 'message.delivered') as delivered_at,
        (
            array_agg(coalesce(events.error_code, 'failed without a code') order by events.timestamp, events.id)
            filter (where events.event_type <> 'message.delivered')
        )[1
        ] as error_code
    from iris.analytics_events as events
    where
        events.tenant_id = :tenant_id
        and events.timestamp >= :reference_start
        and events.timestamp < :window_end::timestamptz + :maturity
        and events.event_type in ('message.delivered', 'message.failed', 'email.hard_bounce', 'email.soft_bounce')
        and events.message_id is not null
    group by events.message_id
)

select
    sent.sent_at >= :window_start as is_now,
    sent.provider,
    sent.country,
    case
        when fates.delivered_at < sent.sent_at + :maturity then 'delivered'
        else
            coalesce(fates.error_code, case when fates.delivered_at is null then 'no receipt' else 'delivered late' end)
    end as outcome,
    count(*) as messages
from sent
left join fates on sent.message_id = fates.message_id
group by is_now, sent.provider, sent.country, outcome;

-- name: two_sigma_weeks(week_start, hour_start)
-- The hours of the last week by tenant and channel, weighted by what was sent in them, and the running hour.
with hours as (
    select
        hourly.tenant_id,
        hourly.channel,
        hourly.timestamp,
        sum(hourly.messages_sent) as sent,
        100 * sum(hourly.messages_delivered)::double precision / sum(hourly.messages_sent) as rate
    from analytics.analytics_hourly as hourly
    where
        hourly.timestamp >= :week_start
        and hourly.timestamp < :hour_start
    group by hourly.tenant_id, hourly.channel, hourly.timestamp
    having sum(hourly.messages_sent) > 0
),

means as (
    select
        hours.*,
        sum(hours.rate * hours.sent) over of_channel / sum(hours.sent) over of_channel as mean
    from hours
    window of_channel as (partition by hours.tenant_id, hours.channel)
)

select
    means.tenant_id,
    means.channel,
    count(*) as hours,
    max(means.mean) as mean,
    sqrt(sum(means.sent * (means.rate - means.mean) ^ 2) / sum(means.sent)) as deviation
from means
group by means.tenant_id, means.channel;

-- name: running_hour(tenant_ids, hour_start, now)
select
    tenants.tenant_id,
    counted.channel,
    counted.sent,
    counted.delivered
from unnest(:tenant_ids::uuid[]) as tenants (tenant_id)
cross join lateral (
    select
        coalesce(events.channel, 'unknown') as channel,
        count(*) filter (where events.event_type = 'message.sent') as sent,
        count(*) filter (where events.event_type = 'message.delivered') as delivered
    from iris.analytics_events as events
    where
        events.tenant_id = tenants.tenant_id
        and events.timestamp >= :hour_start
        and events.timestamp < :now
        and events.event_type in ('message.sent', 'message.delivered')
    group by coalesce(events.channel, 'unknown')
) as counted;

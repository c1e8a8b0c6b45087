-- name: hourly_differences(window_start, window_end)^
-- Recounts one window of at most a day from the events and compares it with analytics.analytics_hourly.
-- Hours that changed since they were rebuilt are noted in the same snapshot: they wait for their rebuild.
-- Of tenants whose day is archived there is nothing to recount.
with

waiting as (

    select hour from iris.touched_hours
    union
    select hour from iris.stale_hours
    where consumer = 'analytics.analytics_hourly'

),

archived as (

    select tenant_id from iris.archived_days
    where
        date = (:window_start::timestamptz at time zone 'UTC')::date
        and restored_at is null

),

events as (

    select
        *,
        date_bin('1 hour', timestamp, timestamptz '2000-01-01 00:00:00+00') as hour
    from iris.analytics_events
    where timestamp >= :window_start and timestamp < :window_end

),

recounted as (

    select
        tenant_id,
        hour,
        coalesce(channel, 'unknown') as channel,
        coalesce(provider, 'unknown') as provider,
        count(*) as events,
        count(*) filter (where event_type = 'message.sent') as messages_sent,
        count(*) filter (where event_type = 'message.delivered') as messages_delivered,
        count(*) filter (where event_type = 'message.failed') as messages_failed,
        count(*) filter (where event_type = 'message.opened') as messages_opened,
        count(*) filter (where event_type = 'link.clicked') as messages_clicked,
        count(*) filter (where event_type in ('email.hard_bounce', 'email.soft_bounce')) as messages_bounced,
        count(*) filter (where event_type = 'email.complaint') as messages_complained,
        count(*) filter (where event_type = 'message.unsubscribed') as messages_unsubscribed,
        count(*) filter (where event_type = 'call.answered') as calls_answered,
        count(*) filter (where event_type = 'conversion') as conversions,
        sum(cost) as total_cost
    from events
    where
        event_type <> 'api.request'
        and hour not in (select waiting.hour from waiting)
        and tenant_id not in (select archived.tenant_id from archived)
    group by 1, 2, 3, 4

),

stored as (

    select * from analytics.analytics_hourly
    where
        timestamp >= :window_start and timestamp < :window_end
        and timestamp not in (select waiting.hour from waiting)
        and tenant_id not in (select archived.tenant_id from archived)

)

select
    coalesce(sum(recounted.events), 0)::bigint as events,
    count(recounted.tenant_id) as groups,
    count(*) filter (
        where (
            recounted.messages_sent, recounted.messages_delivered, recounted.messages_failed,
            recounted.messages_opened, recounted.messages_clicked, recounted.messages_bounced,
            recounted.messages_complained, recounted.messages_unsubscribed, recounted.calls_answered,
            recounted.conversions, recounted.total_cost
        ) is distinct from (
            stored.messages_sent, stored.messages_delivered, stored.messages_failed,
            stored.messages_opened, stored.messages_clicked, stored.messages_bounced,
            stored.messages_complained, stored.messages_unsubscribed, stored.calls_answered,
            stored.conversions, stored.total_cost
        )
    ) as differences,
    (
        select count(distinct waiting.hour)
        from waiting
        where waiting.hour >= :window_start and waiting.hour < :window_end
    ) as waiting_hours
from recounted
full outer join stored
    on
        recounted.tenant_id = stored.tenant_id
        and recounted.hour = stored.timestamp
        and recounted.channel = stored.channel
        and recounted.provider = stored.provider;

-- name: daily_differences(window_start, window_end)^
-- The same for analytics.analytics_daily; a day with any hour that changed since waits as a whole.
with

waiting as (

    select hour from iris.touched_hours
    where hour >= :window_start and hour < :window_end
    union
    select hour from iris.stale_hours
    where consumer = 'analytics.analytics_daily' and hour >= :window_start and hour < :window_end

),

archived as (

    select tenant_id from iris.archived_days
    where
        date = (:window_start::timestamptz at time zone 'UTC')::date
        and restored_at is null

),

recounted as (

    select
        tenant_id,
        coalesce(channel, 'unknown') as channel,
        count(*) as events,
        count(*) filter (where event_type = 'message.sent') as messages_sent,
        count(*) filter (where event_type = 'message.delivered') as messages_delivered,
        count(*) filter (where event_type = 'message.failed') as messages_failed,
        count(*) filter (where event_type = 'message.opened') as messages_opened,
        count(*) filter (where event_type = 'link.clicked') as messages_clicked,
        count(*) filter (where event_type in ('email.hard_bounce', 'email.soft_bounce')) as messages_bounced,
        count(*) filter (where event_type = 'email.complaint') as messages_complained,
        count(*) filter (where event_type = 'message.unsubscribed') as messages_unsubscribed,
        count(*) filter (where event_type = 'call.answered') as calls_answered,
        count(*) filter (where event_type = 'conversion') as conversions,
        sum(cost) as total_cost
    from iris.analytics_events
    where
        timestamp >= :window_start and timestamp < :window_end
        and event_type <> 'api.request'
        and not exists (select from waiting)
        and tenant_id not in (select archived.tenant_id from archived)
    group by 1, 2

),

stored as (

    select * from analytics.analytics_daily
    where
        date = (:window_start::timestamptz at time zone 'UTC')::date
        and not exists (select from waiting)
        and tenant_id not in (select archived.tenant_id from archived)

)

select
    coalesce(sum(recounted.events), 0)::bigint as events,
    count(recounted.tenant_id) as groups,
    count(*) filter (
        where (
            recounted.messages_sent, recounted.messages_delivered, recounted.messages_failed,
            recounted.messages_opened, recounted.messages_clicked, recounted.messages_bounced,
            recounted.messages_complained, recounted.messages_unsubscribed, recounted.calls_answered,
            recounted.conversions, recounted.total_cost
        ) is distinct from (
            stored.messages_sent, stored.messages_delivered, stored.messages_failed,
            stored.messages_opened, stored.messages_clicked, stored.messages_bounced,
            stored.messages_complained, stored.messages_unsubscribed, stored.calls_answered,
            stored.conversions, stored.total_cost
        )
    ) as differences,
    (select count(*) from waiting) as waiting_hours
from recounted
full outer join stored
    on
        recounted.tenant_id = stored.tenant_id
        and recounted.channel = stored.channel;

-- name: sent_by_hour(window_start, window_end)
-- What the plot of a rebuild shows: messages sent per hour.
select
    timestamp as hour,
    sum(messages_sent)::bigint as messages_sent
from analytics.analytics_hourly
where timestamp >= :window_start and timestamp < :window_end
group by 1
order by 1;

-- name: sent_by_day(window_start, window_end)
select
    date as day,
    sum(messages_sent)::bigint as messages_sent
from analytics.analytics_daily
where
    date >= (:window_start::timestamptz at time zone 'UTC')::date
    and date <= (:window_end::timestamptz at time zone 'UTC')::date
group by 1
order by 1;

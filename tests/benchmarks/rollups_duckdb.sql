-- The columns of analytics_hourly as DuckDB computes them best: contacts first, then their groups.
with

events as (

    select
        tenant_id,
        date_trunc('hour', timestamp) as timestamp,
        coalesce(channel, 'unknown') as channel,
        coalesce(provider, 'unknown') as provider,
        event_type,
        is_machine,
        contact_id,
        cost::decimal(18, 6) as cost,
        duration_ms::bigint as duration_ms

    from read_parquet($events)
    where event_type <> 'api.request'

),

counted as (

    select
        tenant_id,
        timestamp,
        channel,
        provider,
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
        count(*) filter (where event_type = 'message.opened' and is_machine) as machine_opens,
        count(*) filter (where event_type = 'link.clicked' and is_machine) as machine_clicks,
        avg(duration_ms) filter (where event_type = 'message.delivered') as mean_ms,
        quantile_cont(duration_ms, [0.5, 0.95, 0.99]) filter (where event_type = 'message.delivered') as percentiles_ms,
        sum(cost) as total_cost,
        avg(cost) as mean_cost

    from events
    group by all

),

contacts as (

    select
        tenant_id,
        timestamp,
        channel,
        provider,
        contact_id,
        bool_or(event_type = 'message.opened') as has_opened,
        bool_or(event_type = 'link.clicked') as has_clicked

    from events
    group by all

),

recipients as (

    select
        tenant_id,
        timestamp,
        channel,
        provider,
        count(contact_id) as unique_recipients,
        count(contact_id) filter (where has_opened) as unique_opens,
        count(contact_id) filter (where has_clicked) as unique_clicks

    from contacts
    group by all

)

select
    *,
    round(100.0 * messages_delivered / nullif(messages_sent, 0), 2) as delivery_rate,
    round(100.0 * messages_opened / nullif(messages_delivered, 0), 2) as open_rate,
    round(100.0 * messages_clicked / nullif(messages_opened, 0), 2) as click_rate

from counted
inner join recipients using (tenant_id, timestamp, channel, provider)

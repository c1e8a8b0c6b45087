{{ config(materialized='windowed') }}

with

events as (

    select
        tenant_id,
        (timestamp at time zone 'UTC')::date as date,
        message_id,
        contact_id,
        campaign_id,
        coalesce(channel, 'unknown') as channel,
        coalesce(provider, 'unknown') as provider,
        event_type,
        timestamp,
        event_data,
        is_machine,
        success,
        cost,
        case when event_type = 'message.delivered' then duration_ms end as delivery_time_ms

    from {{ ref('stg_iris__events') }}
    where {{ in_window('timestamp') }} and event_type <> 'api.request'

),

final as (

    select
        tenant_id,
        date,
        message_id,
        contact_id,
        campaign_id,
        channel,
        provider,
        max((event_data ->> 'variant') collate "C") filter (where event_type = 'message.sent') as variant,
        count(*)::integer as events,
        (count(*) filter (where success))::integer as successes,
        (count(*) filter (where event_type = 'message.sent'))::integer as sent,
        (count(*) filter (where event_type = 'message.delivered'))::integer as delivered,
        (count(*) filter (where event_type = 'message.failed'))::integer as failed,
        (count(*) filter (where event_type = 'message.opened'))::integer as opened,
        (count(*) filter (where event_type = 'link.clicked'))::integer as clicked,
        (count(*) filter (where event_type = 'call.answered'))::integer as answered,
        (count(*) filter (where event_type = 'conversion'))::integer as converted,
        (count(*) filter (where event_type in ('email.hard_bounce', 'email.soft_bounce')))::integer as bounced,
        (count(*) filter (where event_type = 'email.complaint'))::integer as complained,
        (count(*) filter (where event_type = 'message.unsubscribed'))::integer as unsubscribed,
        (count(*) filter (where event_type = 'message.opened' and is_machine))::integer as machine_opened,
        (count(*) filter (where event_type = 'link.clicked' and is_machine))::integer as machine_clicked,
        count(cost)::integer as costs,
        sum(cost) as cost,
        count(delivery_time_ms)::integer as delivery_times,
        sum(delivery_time_ms)::bigint as delivery_time_ms,
        sum({{ revenue('event_data') }}) filter (where event_type = 'conversion') as revenue,
        min(timestamp) as first_event_at,
        max(timestamp) as last_event_at,
        max(timestamp) filter (where {{ earns_points('event_type') }}) as last_engagement_at

    from events
    group by tenant_id, date, message_id, contact_id, campaign_id, channel, provider

)

select * from final

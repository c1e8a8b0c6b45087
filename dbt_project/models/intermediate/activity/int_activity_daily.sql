{{ config(materialized='windowed') }}

with

events as (

    select
        tenant_id,
        {{ date_of_event() }} as date,
        campaign_id,
        coalesce(channel, 'unknown') as channel,
        coalesce(provider, 'unknown') as provider,
        case when event_type = 'message.sent' then event_data ->> 'variant' end as variant,
        event_type,
        coalesce(is_machine, false) as is_machine,
        timestamp,
        message_id,
        contact_id,
        success,
        cost,
        case when event_type = 'message.delivered' then duration_ms end as delivery_time_ms,
        case when event_type = 'conversion' then {{ revenue('event_data') }} end as revenue

    from {{ ref('stg_iris__events') }}
    where {{ in_window('timestamp') }} and event_type <> 'api.request'

),

-- Arrays of one group hold its events in the same order.
final as (

    select
        tenant_id,
        date,
        campaign_id,
        channel,
        provider,
        variant,
        event_type,
        is_machine,
        count(*) as events,
        count(*) filter (where success) as successes,
        count(cost) as costs,
        sum(cost) as cost,
        count(delivery_time_ms) as delivery_times,
        sum(delivery_time_ms) as delivery_time_ms,
        min(timestamp) as first_event_at,
        max(timestamp) as last_event_at,
        array_agg(message_id) as message_ids,
        array_agg(contact_id) as contact_ids,
        array_agg(delivery_time_ms) filter (where event_type = 'message.delivered') as delivery_times_ms,
        array_agg(revenue) filter (where event_type = 'conversion') as revenues

    from events
    group by tenant_id, date, campaign_id, channel, provider, variant, event_type, is_machine

)

select * from final

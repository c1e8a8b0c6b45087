{{ config(materialized='windowed') }}

with

events as (

    select
        tenant_id,
        (timestamp at time zone 'UTC')::date as date,
        coalesce(channel, 'unknown') as channel,
        coalesce(provider, 'unknown') as provider,
        event_type,
        is_machine,
        success,
        cost,
        duration_ms

    from {{ ref('stg_iris__events') }}
    where {{ in_window('timestamp') }} and event_type <> 'api.request'

),

by_type as (

    select
        tenant_id,
        date,
        channel,
        provider,
        event_type,
        count(*) as events,
        count(*) filter (where is_machine) as machine_events,
        count(*) filter (where success) as successes,
        count(cost) as costs,
        sum(cost) as cost,
        count(duration_ms) as durations,
        sum(duration_ms) as duration_ms

    from events
    group by tenant_id, date, channel, provider, event_type

),

final as (

    select
        tenant_id,
        date,
        channel,
        provider,
        {{ counts_and_costs() }},
        coalesce(sum(costs), 0)::bigint as costs,
        {{ events_of(messaging_types()) }} as messaging_events,
        {{ events_of(messaging_types(), 'successes') }} as messaging_successes,
        {{ events_of(messaging_types(), 'costs') }} as messaging_costs,
        sum(cost) filter (where {{ is_messaging('event_type') }}) as messaging_cost,
        {{ events_of(['message.delivered'], 'durations') }} as delivery_times,
        sum(duration_ms) filter (where event_type = 'message.delivered') as delivery_time_ms,
        now() as computed_at

    from by_type
    group by tenant_id, date, channel, provider

)

select * from final

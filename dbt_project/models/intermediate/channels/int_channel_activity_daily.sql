{{ config(materialized='windowed') }}

with

by_type as (

    select
        tenant_id,
        date,
        channel,
        provider,
        event_type,
        sum(events) as events,
        sum(events) filter (where is_machine) as machine_events,
        sum(successes) as successes,
        sum(costs) as costs,
        sum(cost) as cost,
        sum(delivery_times) as delivery_times,
        sum(delivery_time_ms) as delivery_time_ms

    from {{ ref('int_activity_daily') }}
    where {{ in_window_days('date') }}
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
        coalesce(sum(delivery_times), 0)::bigint as delivery_times,
        sum(delivery_time_ms) as delivery_time_ms,
        now() as computed_at

    from by_type
    group by tenant_id, date, channel, provider

)

select * from final

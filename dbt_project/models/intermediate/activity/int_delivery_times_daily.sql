{{ config(materialized='windowed') }}

with

deliveries as (

    select
        tenant_id,
        date,
        channel,
        provider,
        unnest(delivery_times_ms) as delivery_time_ms

    from {{ ref('int_activity_daily') }}
    where {{ in_window_days('date') }} and event_type = 'message.delivered'

),

buckets as materialized (

    select
        tenant_id,
        date,
        channel,
        provider,
        {{ delivery_time_bucket('delivery_time_ms') }} as bucket,
        count(*)::integer as deliveries

    from deliveries
    where delivery_time_ms is not null
    group by 1, 2, 3, 4, 5

),

-- A channel has a few providers with much the same times: its own histogram is read in half the time of theirs.
channels as (

    select
        tenant_id,
        date,
        channel,
        null::text as provider,
        bucket,
        sum(deliveries)::integer as deliveries

    from buckets
    group by 1, 2, 3, 4, 5

),

histograms as (

    select * from buckets
    union all
    select * from channels

),

final as (

    select
        tenant_id,
        date,
        channel,
        provider,
        array_agg(bucket order by bucket) as buckets,
        array_agg(deliveries order by bucket) as counts

    from histograms
    group by 1, 2, 3, 4

)

select * from final

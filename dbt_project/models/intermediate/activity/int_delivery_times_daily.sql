{{ config(materialized='windowed') }}

with

buckets as materialized (

    select
        tenant_id,
        (timestamp at time zone 'UTC')::date as date,
        coalesce(channel, 'unknown') as channel,
        coalesce(provider, 'unknown') as provider,
        {{ delivery_time_bucket('duration_ms') }} as bucket,
        count(*)::integer as deliveries

    from {{ ref('stg_iris__events') }}
    where {{ in_window('timestamp') }} and event_type = 'message.delivered' and duration_ms is not null
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

{{ config(materialized='windowed') }}

select
    tenant_id,
    (timestamp at time zone 'UTC')::date as date,
    coalesce(channel, 'unknown') as channel,
    coalesce(provider, 'unknown') as provider,
    {{ delivery_time_bucket('duration_ms') }} as bucket,
    count(*) as deliveries

from {{ ref('stg_iris__events') }}
where {{ in_window('timestamp') }} and event_type = 'message.delivered' and duration_ms is not null
group by 1, 2, 3, 4, 5

{{ config(materialized='windowed') }}

-- depends_on: {{ source('iris', 'analytics_events') }}

with

events as (

    select
        *,
        date_bin('1 hour', timestamp, timestamptz '2000-01-01 00:00:00+00') as hour_start,
        coalesce(channel, 'unknown') as channel_name,
        coalesce(provider, 'unknown') as provider_name

    from {{ ref('stg_iris__events') }}
    where {{ in_window('timestamp') }} and event_type <> 'api.request'

),

counted as (

    select
        tenant_id,
        hour_start,
        channel_name,
        provider_name,
        {{ rollup_counts() }}

    from events
    group by tenant_id, hour_start, channel_name, provider_name

)

select
    tenant_id,
    hour_start as timestamp,
    channel_name as channel,
    provider_name as provider,
    {{ rollup_columns() }}

from counted

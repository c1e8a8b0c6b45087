{{ config(materialized='windowed') }}

-- depends_on: {{ source('iris', 'analytics_events') }}

with

events as (

    select
        *,
        (timestamp at time zone 'UTC')::date as event_date,
        coalesce(channel, 'unknown') as channel_name

    from {{ ref('stg_iris__events') }}
    where {{ in_window('timestamp') }} and event_type <> 'api.request'

),

counted as (

    select
        tenant_id,
        event_date,
        channel_name,
        {{ rollup_counts() }}

    from events
    group by tenant_id, event_date, channel_name

)

select
    tenant_id,
    event_date as date,
    channel_name as channel,
    {{ rollup_columns() }}

from counted

{{ config(materialized='windowed') }}

with

sent as (

    select
        tenant_id,
        {{ date_of_event() }} as date,
        coalesce(channel, 'unknown') as channel,
        upper(
            left(coalesce(nullif(event_data ->> 'country', ''), nullif(geo_location ->> 'country', ''), 'unknown'), 100)
        ) as country,
        cost

    from {{ ref('stg_iris__events') }}
    where {{ in_window('timestamp') }} and event_type = 'message.sent'

),

final as (

    select
        tenant_id,
        date,
        channel,
        country,
        count(*) as messages,
        sum(cost) as cost

    from sent
    group by tenant_id, date, channel, country

)

select * from final

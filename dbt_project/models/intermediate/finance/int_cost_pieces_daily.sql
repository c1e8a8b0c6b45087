{{ config(materialized='windowed') }}

with

costs as (

    select
        tenant_id,
        (timestamp at time zone 'UTC')::date as date,
        timestamp,
        cost

    from {{ ref('stg_iris__events') }}
    where {{ in_window('timestamp') }} and event_type <> 'api.request' and cost is not null

),

-- Wherever a tenant is, its month begins on the first or on the last day of a month of UTC, at a quarter of an hour.
pieces as (

    select
        tenant_id,
        date,
        case
            when extract(day from date) = 1 or extract(day from date + 1) = 1
                then {{ floor_to('15 minutes', 'timestamp') }}
            else {{ floor_to('24 hours', 'timestamp') }}
        end as starts_at,
        cost

    from costs

),

final as (

    select
        tenant_id,
        date,
        starts_at,
        count(*) as costs,
        sum(cost) as cost

    from pieces
    group by tenant_id, date, starts_at

)

select * from final

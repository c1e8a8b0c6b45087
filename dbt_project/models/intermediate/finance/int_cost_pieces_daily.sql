{{ config(materialized='windowed') }}

-- Wherever a tenant is, its month begins on the first or on the last day of a month of UTC, at a quarter of an hour.
{% set has_a_month_begin = 'extract(day from {0}) = 1 or extract(day from {0} + 1) = 1' %}

with

whole_days as (

    select
        tenant_id,
        date,
        date::timestamp at time zone 'UTC' as starts_at,
        sum(costs)::bigint as costs,
        sum(cost) as cost

    from {{ ref('int_activity_daily') }}
    where {{ in_window_days('date') }} and costs > 0 and not ({{ has_a_month_begin.format('date') }})
    group by 1, 2, 3

),

-- On any other day the events are not read: the condition on the date is decided before.
quarters as (

    select
        tenant_id,
        {{ date_of_event() }} as date,
        {{ floor_to('15 minutes', 'timestamp') }} as starts_at,
        count(*) as costs,
        sum(cost) as cost

    from {{ ref('stg_iris__events') }}
    where
        {{ in_window('timestamp') }}
        and event_type <> 'api.request'
        and cost is not null
        and ({{ has_a_month_begin.format(date_of_event()) }})
    group by 1, 2, 3

),

final as (

    select * from whole_days
    union all
    select * from quarters

)

select * from final

{{ config(materialized='windowed') }}

{#- Named by its table each time: as a common table expression it would be read as a whole. -#}
{%- set points = ref('int_contact_points_daily') -%}
{%- set range = run_range() -%}

with

dates as materialized (

    select days.as_of_date

    from {{ dates_in_window() }} as days (as_of_date)
    where {{ scores_are_kept('days.as_of_date') }}

),

-- Dates are counted once, not for each row: where none is kept, nothing is read.
basis as materialized (

    select
        count(*) > 0 as is_kept,
        count(*) = 1 and {{ day_before_is_right(range, this) }} as is_day_before

    from dates

),

in_reach as (

    select
        points.*,
        dates.as_of_date

    from dates
    inner join {{ points }} as points on points.date between dates.as_of_date - 89 and dates.as_of_date
    where
        (select basis.is_kept and not basis.is_day_before from basis)
        and points.date between {{ first_day(range) }} - 89 and {{ last_day(range) }}
        and points.is_active

),

from_all_days as (

    {{ engagement_parts('in_reach', with_state=true) }}

),

day_before as (

    select *

    from {{ this }}
    where (select basis.is_day_before from basis) and as_of_date = {{ first_day(range) }} - 1

),

today as (

    select *

    from {{ points }}
    where (select basis.is_day_before from basis) and is_active and date = {{ first_day(range) }}

),

settled as (

    select *

    from {{ points }}
    where (select basis.is_day_before from basis) and is_active and date = {{ first_day(range) }} - 81

),

gone as (

    select *

    from {{ points }}
    where (select basis.is_day_before from basis) and is_active and date = {{ first_day(range) }} - 90

),

from_day_before as (

    {{ engagement_parts_of_next_day(first_day(range)) }}

),

final as (

    select * from from_all_days
    union all
    select * from from_day_before

)

select * from final

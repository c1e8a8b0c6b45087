{{ config(materialized='windowed', post_hook="{{ forget_scores() }}") }}

{#- Named by its table each time: as a common table expression it would be read as a whole. -#}
{%- set points = ref('int_contact_points_daily') -%}
{%- set range = run_range() -%}

with

dates as materialized (

    select days.as_of_date

    from {{ dates_in_window() }} as days (as_of_date)
    cross join (select max(date) as date from {{ points }}) as newest
    where {{ is_kept('days.as_of_date', 'newest.date') }}

),

-- Dates are counted once, not for each row: where none is kept, nothing is read.
in_reach as (

    select
        points.*,
        dates.as_of_date

    from dates
    inner join {{ points }} as points on points.date between dates.as_of_date - 89 and dates.as_of_date
    where
        (select count(kept.as_of_date) from dates as kept) > 0
        and points.date between {{ first_day(range) }} - 89 and {{ last_day(range) }}

),

final as (

    {{ engagement_parts('in_reach', points) }}

)

select * from final

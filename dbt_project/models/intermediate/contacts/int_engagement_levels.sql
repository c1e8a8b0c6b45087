{{ config(materialized='windowed', post_hook="select iris.see_contacts()") }}

-- depends_on: {{ ref('int_contact_points_daily') }}

with

scores as (

    select
        tenant_id,
        as_of_date,
        {{ engagement_level(in_points('converted')) }} as engagement_level

    from {{ ref('int_engagement_parts') }}
    where {{ in_window_days('as_of_date') }}

),

final as (

    select
        tenant_id,
        as_of_date,
        engagement_level,
        count(*) as contacts

    from scores
    group by tenant_id, as_of_date, engagement_level

)

select * from final

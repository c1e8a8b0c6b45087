{{ config(materialized='by_campaign') }}

with

visits as (

    select * from {{ ref('int_campaign_visits_daily') }}
    where {{ in_replaced_campaigns() }} and opened > 0

),

final as (

    select
        tenant_id,
        campaign_id,
        user_agent_md5,
        country,
        city,
        sum(opened)::bigint as opened,
        sum(machine_opened)::bigint as machine_opened,
        now() as computed_at

    from visits
    group by tenant_id, campaign_id, user_agent_md5, country, city

)

select * from final

with

opens as (

    select * from {{ ref('int_campaign_opens') }}

),

user_agents as (

    select * from {{ ref('stg_iris__user_agents') }}

),

-- Where a proxy stands says nothing about the reader.
placed as (

    select
        opens.tenant_id,
        opens.campaign_id,
        case when user_agents.is_proxy is not true then opens.country end as country,
        case when user_agents.is_proxy is not true then opens.city end as city,
        opens.opened,
        opens.machine_opened

    from opens
    left join user_agents on opens.user_agent_md5 = user_agents.user_agent_md5

),

final as (

    select
        tenant_id,
        campaign_id,
        country,
        city,
        sum(opened)::bigint as opens,
        sum(opened - machine_opened)::bigint as human_opens

    from placed
    group by tenant_id, campaign_id, country, city

)

select * from final

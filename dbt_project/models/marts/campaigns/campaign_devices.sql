with

opens as (

    select * from {{ ref('int_campaign_opens') }}

),

user_agents as (

    select * from {{ ref('stg_iris__user_agents') }}

),

final as (

    select
        opens.tenant_id,
        opens.campaign_id,
        coalesce(user_agents.device_type, 'unknown') as device_type,
        coalesce(user_agents.os, 'unknown') as os,
        coalesce(user_agents.client, 'unknown') as client,
        sum(opens.opened)::bigint as opens,
        sum(opens.opened - opens.machine_opened)::bigint as human_opens

    from opens
    left join user_agents on opens.user_agent_md5 = user_agents.user_agent_md5
    group by 1, 2, 3, 4, 5

)

select * from final

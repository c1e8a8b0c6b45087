{{ config(materialized='by_campaign') }}

with

activity as (

    select * from {{ ref('int_message_activity_daily') }}
    where {{ in_replaced_campaigns() }}

),

final as (

    select
        tenant_id,
        campaign_id,
        sum(sent)::bigint as messages_sent,
        sum(cost) as total_cost,
        round(sum(cost) / nullif(sum(costs), 0), 6) as avg_cost_per_message,
        now() as computed_at

    from activity
    group by tenant_id, campaign_id

)

select * from final

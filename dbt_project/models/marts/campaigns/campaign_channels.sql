with

activity as (

    select * from {{ ref('int_campaign_activity_hourly') }}

),

counted as (

    select
        tenant_id,
        campaign_id,
        channel,
        sum(sent)::bigint as sent,
        sum(delivered)::bigint as delivered,
        sum(failed)::bigint as failed,
        sum(cost) as cost,
        sum(opened)::bigint as opened,
        sum(clicked)::bigint as clicked,
        sum(converted)::bigint as converted,
        sum(opened - machine_opened)::bigint as human_opens,
        sum(clicked - machine_clicked)::bigint as human_clicks

    from activity
    group by tenant_id, campaign_id, channel

),

final as (

    select
        *,
        {{ rate('delivered', 'sent') }} as delivery_rate

    from counted

)

select * from final

{{ config(materialized='by_campaign') }}

with

-- Not materialized: reading the rows twice is cheaper than keeping them.
activity as not materialized (

    select * from {{ ref('int_message_activity_daily') }}
    where {{ in_replaced_campaigns() }}

),

campaigns as (

    select * from {{ ref('stg_iris__campaigns') }}

),

summed as (

    select
        tenant_id,
        campaign_id,
        sum(sent) as total_sent,
        sum(delivered) as total_delivered,
        sum(failed) as total_failed,
        sum(opened) as total_opened,
        sum(clicked) as total_clicked,
        sum(bounced) as total_bounced,
        sum(complained) as total_complained,
        sum(unsubscribed) as total_unsubscribed,
        sum(answered) as total_answered,
        sum(converted) as total_conversions,
        sum(machine_opened) as machine_opens,
        sum(machine_clicked) as machine_clicks,
        sum(cost) as total_cost,
        sum(costs) as costs,
        sum(revenue) as total_revenue,
        sum(delivery_time_ms) as delivery_time_ms,
        sum(delivery_times) as delivery_times,
        min(first_event_at) as first_event_at,
        max(last_event_at) as last_event_at

    from activity
    group by tenant_id, campaign_id

),

-- One row per contact, so that who opened on three days opened once; those of nobody come together in one.
by_contact as (

    select
        tenant_id,
        campaign_id,
        contact_id,
        bool_or(opened > 0) as has_opened,
        bool_or(clicked > 0) as has_clicked,
        bool_or(opened > machine_opened) as has_opened_itself,
        bool_or(clicked > machine_clicked) as has_clicked_itself

    from activity
    group by tenant_id, campaign_id, contact_id

),

contacts as (

    select
        tenant_id,
        campaign_id,
        count(contact_id) as unique_recipients,
        count(contact_id) filter (where has_opened) as unique_opens,
        count(contact_id) filter (where has_clicked) as unique_clicks,
        count(contact_id) filter (where has_opened_itself) as human_unique_opens,
        count(contact_id) filter (where has_clicked_itself) as human_unique_clicks

    from by_contact
    group by tenant_id, campaign_id

),

-- Both have the same groups. No nested loop can do a full join, which the planner would take for the cheapest.
counted as (

    select *
    from summed
    full join contacts using (tenant_id, campaign_id)

),

final as (

    select
        counted.tenant_id,
        counted.campaign_id,
        campaigns.campaign_name,
        counted.total_sent,
        counted.total_delivered,
        counted.total_failed,
        counted.total_opened,
        counted.total_clicked,
        counted.total_bounced,
        counted.total_complained,
        counted.total_unsubscribed,
        counted.total_answered,
        counted.total_conversions,
        counted.machine_opens,
        counted.machine_clicks,
        counted.total_opened - counted.machine_opens as human_opens,
        counted.total_clicked - counted.machine_clicks as human_clicks,
        counted.unique_recipients,
        counted.unique_opens,
        counted.unique_clicks,
        counted.human_unique_opens,
        counted.human_unique_clicks,
        {{ rate('counted.total_delivered', 'counted.total_sent') }} as delivery_rate,
        {{ rate('counted.unique_opens', 'counted.total_delivered') }} as open_rate,
        {{ rate('counted.unique_clicks', 'counted.unique_opens') }} as click_rate,
        {{ rate('counted.human_unique_opens', 'counted.total_delivered') }} as human_open_rate,
        {{ rate('counted.human_unique_clicks', 'counted.human_unique_opens') }} as human_click_rate,
        {{ rate('counted.total_bounced', 'counted.total_sent') }} as bounce_rate,
        {{ rate('counted.total_complained', 'counted.total_delivered') }} as complaint_rate,
        counted.total_cost,
        round(counted.total_cost / nullif(counted.costs, 0), 6) as avg_cost_per_message,
        round(counted.total_cost / nullif(counted.total_conversions, 0), 6) as cost_per_conversion,
        counted.total_revenue,
        round(counted.delivery_time_ms / nullif(counted.delivery_times, 0))::bigint as avg_delivery_time_ms,
        counted.first_event_at,
        counted.last_event_at,
        now() as computed_at

    from counted
    left join campaigns
        on counted.tenant_id = campaigns.tenant_id and counted.campaign_id = campaigns.campaign_id

)

select * from final

{{ config(materialized='by_campaign') }}

with

activity as (

    select * from {{ ref('int_message_activity_daily') }}
    where {{ in_replaced_campaigns() }}

),

campaigns as (

    select * from {{ ref('stg_iris__campaigns') }}

),

-- One row per contact, so that who opened on three days opened once; those of nobody come together in one.
by_contact as (

    select
        tenant_id,
        campaign_id,
        contact_id,
        sum(sent) as sent,
        sum(delivered) as delivered,
        sum(failed) as failed,
        sum(opened) as opened,
        sum(clicked) as clicked,
        sum(answered) as answered,
        sum(converted) as converted,
        sum(bounced) as bounced,
        sum(complained) as complained,
        sum(unsubscribed) as unsubscribed,
        sum(machine_opened) as machine_opened,
        sum(machine_clicked) as machine_clicked,
        sum(costs) as costs,
        sum(cost) as cost,
        sum(delivery_times) as delivery_times,
        sum(delivery_time_ms) as delivery_time_ms,
        sum(revenue) as revenue,
        min(first_event_at) as first_event_at,
        max(last_event_at) as last_event_at

    from activity
    group by tenant_id, campaign_id, contact_id

),

counted as (

    select
        tenant_id,
        campaign_id,
        sum(sent)::bigint as total_sent,
        sum(delivered)::bigint as total_delivered,
        sum(failed)::bigint as total_failed,
        sum(opened)::bigint as total_opened,
        sum(clicked)::bigint as total_clicked,
        sum(bounced)::bigint as total_bounced,
        sum(complained)::bigint as total_complained,
        sum(unsubscribed)::bigint as total_unsubscribed,
        sum(answered)::bigint as total_answered,
        sum(converted)::bigint as total_conversions,
        sum(machine_opened)::bigint as machine_opens,
        sum(machine_clicked)::bigint as machine_clicks,
        sum(opened - machine_opened)::bigint as human_opens,
        sum(clicked - machine_clicked)::bigint as human_clicks,
        count(contact_id) as unique_recipients,
        count(contact_id) filter (where opened > 0) as unique_opens,
        count(contact_id) filter (where clicked > 0) as unique_clicks,
        count(contact_id) filter (where opened > machine_opened) as human_unique_opens,
        count(contact_id) filter (where clicked > machine_clicked) as human_unique_clicks,
        sum(cost) as total_cost,
        sum(costs) as costs,
        sum(revenue) as total_revenue,
        sum(delivery_time_ms) as delivery_time_ms,
        sum(delivery_times) as delivery_times,
        min(first_event_at) as first_event_at,
        max(last_event_at) as last_event_at

    from by_contact
    group by tenant_id, campaign_id

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
        counted.human_opens,
        counted.human_clicks,
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

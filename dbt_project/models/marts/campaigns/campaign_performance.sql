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

-- The first two have the same groups. No nested loop can do a full join, which the planner would take for the cheapest.
final as (

    select
        tenant_id,
        campaign_id,
        campaigns.campaign_name,
        summed.total_sent,
        summed.total_delivered,
        summed.total_failed,
        summed.total_opened,
        summed.total_clicked,
        summed.total_bounced,
        summed.total_complained,
        summed.total_unsubscribed,
        summed.total_answered,
        summed.total_conversions,
        summed.machine_opens,
        summed.machine_clicks,
        summed.total_opened - summed.machine_opens as human_opens,
        summed.total_clicked - summed.machine_clicks as human_clicks,
        contacts.unique_recipients,
        contacts.unique_opens,
        contacts.unique_clicks,
        contacts.human_unique_opens,
        contacts.human_unique_clicks,
        {{ rate('summed.total_delivered', 'summed.total_sent') }} as delivery_rate,
        {{ rate('contacts.unique_opens', 'summed.total_delivered') }} as open_rate,
        {{ rate('contacts.unique_clicks', 'contacts.unique_opens') }} as click_rate,
        {{ rate('contacts.human_unique_opens', 'summed.total_delivered') }} as human_open_rate,
        {{ rate('contacts.human_unique_clicks', 'contacts.human_unique_opens') }} as human_click_rate,
        {{ rate('summed.total_bounced', 'summed.total_sent') }} as bounce_rate,
        {{ rate('summed.total_complained', 'summed.total_delivered') }} as complaint_rate,
        summed.total_cost,
        round(summed.total_cost / nullif(summed.costs, 0), 6) as avg_cost_per_message,
        round(summed.total_cost / nullif(summed.total_conversions, 0), 6) as cost_per_conversion,
        summed.total_revenue,
        round(summed.delivery_time_ms / nullif(summed.delivery_times, 0))::bigint as avg_delivery_time_ms,
        summed.first_event_at,
        summed.last_event_at,
        now() as computed_at

    from summed
    full join contacts using (tenant_id, campaign_id)
    left join campaigns using (tenant_id, campaign_id)

)

select * from final

{# What analytics_hourly and analytics_daily have in common. #}

{% macro rollup_counts() -%}
        count(*) filter (where event_type = 'message.sent') as messages_sent,
        count(*) filter (where event_type = 'message.delivered') as messages_delivered,
        count(*) filter (where event_type = 'message.failed') as messages_failed,
        count(*) filter (where event_type = 'message.opened') as messages_opened,
        count(*) filter (where event_type = 'link.clicked') as messages_clicked,
        count(*) filter (where event_type in ('email.hard_bounce', 'email.soft_bounce')) as messages_bounced,
        count(*) filter (where event_type = 'email.complaint') as messages_complained,
        count(*) filter (where event_type = 'message.unsubscribed') as messages_unsubscribed,
        count(*) filter (where event_type = 'call.answered') as calls_answered,
        count(*) filter (where event_type = 'conversion') as conversions,
        count(*) filter (where event_type = 'message.opened' and is_machine) as machine_opens,
        count(*) filter (where event_type = 'link.clicked' and is_machine) as machine_clicks,
        count(distinct contact_id) as unique_recipients,
        count(distinct contact_id) filter (where event_type = 'message.opened') as unique_opens,
        count(distinct contact_id) filter (where event_type = 'link.clicked') as unique_clicks,
        avg(duration_ms) filter (where event_type = 'message.delivered') as mean_ms,
        percentile_cont(array[0.5, 0.95, 0.99]) within group (order by duration_ms)
            filter (where event_type = 'message.delivered') as percentiles,
        sum(cost) as total_cost,
        avg(cost) as mean_cost
{%- endmacro %}

{% macro rollup_columns() -%}
    messages_sent,
    messages_delivered,
    messages_failed,
    messages_opened,
    messages_clicked,
    messages_bounced,
    messages_complained,
    messages_unsubscribed,
    calls_answered,
    conversions,
    machine_opens,
    machine_clicks,
    unique_recipients,
    unique_opens,
    unique_clicks,
    {{ rate('messages_delivered', 'messages_sent') }} as delivery_rate,
    {{ rate('messages_opened', 'messages_delivered') }} as open_rate,
    {{ rate('messages_clicked', 'messages_opened') }} as click_rate,
    round(mean_ms)::bigint as avg_delivery_time_ms,
    round(percentiles[1]::numeric)::bigint as p50_delivery_time_ms,
    round(percentiles[2]::numeric)::bigint as p95_delivery_time_ms,
    round(percentiles[3]::numeric)::bigint as p99_delivery_time_ms,
    total_cost,
    round(mean_cost, 6) as avg_cost_per_message,
    now() as computed_at
{%- endmacro %}

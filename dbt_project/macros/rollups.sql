{# The columns that analytics_hourly and analytics_daily share, at each of their steps. #}


{# What the events of one type in one group come to. The contacts and times are kept as arrays, so that distinct counts
   and percentiles need no second pass over the events, nor a sort of all of them. #}
{% macro measures_of_a_type() -%}
    count(*) as events,
    count(*) filter (where is_machine) as machine_events,
    count(cost) as costs,
    sum(cost) as cost,
    array_agg(contact_id) as contact_ids,
    array_agg(duration_ms) filter (where event_type = 'message.delivered') as delivery_times
{%- endmacro %}


{# How many events of these types a group has, from its rows by type. #}
{% macro events_of(event_types, column='events') -%}
    coalesce(sum({{ column }}) filter (where event_type in ('{{ event_types | join("', '") }}')), 0)::bigint
{%- endmacro %}


{# The counts and costs of a group, from its rows by type. #}
{% macro counts_and_costs() -%}
    {{ events_of(['message.sent']) }} as messages_sent,
    {{ events_of(['message.delivered']) }} as messages_delivered,
    {{ events_of(['message.failed']) }} as messages_failed,
    {{ events_of(['message.opened']) }} as messages_opened,
    {{ events_of(['link.clicked']) }} as messages_clicked,
    {{ events_of(['email.hard_bounce', 'email.soft_bounce']) }} as messages_bounced,
    {{ events_of(['email.complaint']) }} as messages_complained,
    {{ events_of(['message.unsubscribed']) }} as messages_unsubscribed,
    {{ events_of(['call.answered']) }} as calls_answered,
    {{ events_of(['conversion']) }} as conversions,
    {{ events_of(['message.opened'], 'machine_events') }} as machine_opens,
    {{ events_of(['link.clicked'], 'machine_events') }} as machine_clicks,
    sum(cost) as total_cost,
    round(sum(cost) / nullif(sum(costs), 0), 6) as avg_cost_per_message
{%- endmacro %}


{# The distinct contacts of a group, and the mean and the percentiles of its delivery times, from one row per event. #}
{% macro distinct_contacts_and_times() -%}
    count(distinct contact_id) as unique_recipients,
    count(distinct contact_id) filter (where is_open) as unique_opens,
    count(distinct contact_id) filter (where is_click) as unique_clicks,
    avg(duration_ms) as mean_ms,
    percentile_cont(array[0.5, 0.95, 0.99]) within group (order by duration_ms) as percentiles_ms
{%- endmacro %}


{# The columns of a rollup after its key, in the order of the contract. #}
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
    {{ whole_ms('percentiles_ms[1]') }} as p50_delivery_time_ms,
    {{ whole_ms('percentiles_ms[2]') }} as p95_delivery_time_ms,
    {{ whole_ms('percentiles_ms[3]') }} as p99_delivery_time_ms,
    total_cost,
    avg_cost_per_message,
    now() as computed_at
{%- endmacro %}

select
    tenant_id,
    date,
    channel,
    provider,
    messages_sent,
    total_cost,
    avg_cost_per_message,
    computed_at

from {{ ref('int_channel_activity_daily') }}

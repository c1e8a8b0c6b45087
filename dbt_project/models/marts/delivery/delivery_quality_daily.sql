select
    tenant_id,
    date,
    channel,
    messages_sent as total_sent,
    messages_delivered as total_delivered,
    messages_failed as total_failed,
    messages_bounced as total_bounced,
    messages_complained as total_complained,
    delivery_rate,
    {{ rate('messages_failed', 'messages_sent') }} as error_rate,
    avg_delivery_time_ms,
    p50_delivery_time_ms,
    p95_delivery_time_ms,
    p99_delivery_time_ms,
    {{ rate('messages_bounced', 'messages_sent') }} as bounce_rate,
    {{ rate('messages_complained', 'messages_delivered') }} as complaint_rate,
    computed_at

from {{ ref('analytics_daily') }}

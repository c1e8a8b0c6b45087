select
    tenant_id,
    campaign_id,
    campaign_name,
    total_sent as messages_sent,
    total_cost,
    avg_cost_per_message,
    total_conversions as conversions,
    cost_per_conversion,
    total_revenue,
    computed_at

from {{ ref('campaign_performance') }}

-- One plain select: PostgreSQL merges it into the queries on it, which it does not do with common table expressions.
select
    id as event_id,
    tenant_id,
    event_type,
    timestamp,
    received_at,
    message_id,
    campaign_id,
    contact_id,
    channel,
    provider,
    event_data,
    ip_address,
    user_agent,
    geo_location,
    cost,
    duration_ms,
    success,
    is_machine,
    machine_reason,
    error_code,
    error_message

from {{ source('iris', 'analytics_events') }}

select
    tenant_id,
    id as message_id,
    campaign_id,
    variant

from {{ source('iris', 'messages') }}

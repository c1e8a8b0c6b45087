select
    tenant_id,
    id as contact_id,
    email_status,
    engagement_score,
    last_engagement_at,
    created_at

from {{ source('iris', 'contacts') }}

select
    tenant_id,
    id as campaign_id,
    name as campaign_name

from {{ source('iris', 'campaigns') }}

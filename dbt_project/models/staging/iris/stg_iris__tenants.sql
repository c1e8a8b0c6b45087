select
    id as tenant_id,
    name,
    timezone,
    currency

from {{ source('iris', 'tenants') }}

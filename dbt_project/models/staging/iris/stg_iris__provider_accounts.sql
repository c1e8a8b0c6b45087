select
    tenant_id,
    provider,
    account,
    channel,
    is_default

from {{ source('iris', 'provider_accounts') }}

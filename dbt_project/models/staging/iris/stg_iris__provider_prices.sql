select
    tenant_id,
    provider,
    channel,
    country,
    price,
    currency,
    valid_from,
    valid_to

from {{ source('iris', 'provider_prices') }}

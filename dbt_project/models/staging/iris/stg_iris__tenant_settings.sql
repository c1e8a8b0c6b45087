select
    tenant_id,
    setting_key,
    setting_value

from {{ source('iris', 'tenant_settings') }}

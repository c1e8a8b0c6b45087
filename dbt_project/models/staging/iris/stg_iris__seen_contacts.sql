select
    tenant_id,
    contact_id,
    first_date

from {{ source('iris', 'seen_contacts') }}

{{ config(materialized='windowed') }}

-- In the order of the index on contacts: neighbours share its pages, which halves what it costs to fill.
select
    tenant_id,
    {{ date_of_event() }} as date,
    contact_id,
    (count(*) filter (where event_type = 'message.delivered'))::integer as delivered,
    (count(*) filter (where event_type = 'message.opened'))::integer as opened,
    (count(*) filter (where event_type = 'link.clicked'))::integer as clicked,
    (count(*) filter (where event_type = 'call.answered'))::integer as answered,
    (count(*) filter (where event_type = 'conversion'))::integer as converted,
    (count(*) filter (where event_type = 'message.opened' and is_machine))::integer as machine_opened,
    (count(*) filter (where event_type = 'link.clicked' and is_machine))::integer as machine_clicked,
    bool_or({{ is_messaging('event_type') }}) as is_active,
    max(timestamp) filter (where {{ earns_points('event_type') }}) as last_engagement_at

from {{ ref('stg_iris__events') }}
where {{ in_window('timestamp') }} and event_type <> 'api.request' and contact_id is not null
group by 1, 2, 3
order by 3

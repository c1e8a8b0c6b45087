{{ config(materialized='windowed') }}

select
    tenant_id,
    date,
    contact_id,
    sum(delivered)::integer as delivered,
    sum(opened)::integer as opened,
    sum(clicked)::integer as clicked,
    sum(answered)::integer as answered,
    sum(converted)::integer as converted,
    sum(machine_opened)::integer as machine_opened,
    sum(machine_clicked)::integer as machine_clicked,
    max(last_engagement_at) as last_engagement_at

from {{ ref('int_message_activity_daily') }}
where {{ in_window_days('date') }} and contact_id is not null
group by tenant_id, date, contact_id

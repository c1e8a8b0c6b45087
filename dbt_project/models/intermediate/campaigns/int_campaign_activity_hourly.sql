{{ config(materialized='windowed') }}

select
    tenant_id,
    {{ floor_to('1 hour', 'timestamp') }} as hour_start,
    campaign_id,
    coalesce(channel, 'unknown') as channel,
    count(*) filter (where event_type = 'message.sent') as sent,
    count(*) filter (where event_type = 'message.delivered') as delivered,
    count(*) filter (where event_type = 'message.failed') as failed,
    count(*) filter (where event_type = 'message.opened') as opened,
    count(*) filter (where event_type = 'link.clicked') as clicked,
    count(*) filter (where event_type = 'conversion') as converted,
    count(*) filter (where event_type = 'message.opened' and is_machine) as machine_opened,
    count(*) filter (where event_type = 'link.clicked' and is_machine) as machine_clicked,
    count(cost) as costs,
    sum(cost) as cost

from {{ ref('stg_iris__events') }}
where {{ in_window('timestamp') }} and event_type <> 'api.request' and campaign_id is not null
group by 1, 2, 3, 4

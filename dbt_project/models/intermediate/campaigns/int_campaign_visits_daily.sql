{{ config(materialized='windowed') }}

-- An open matters by what it was made with and where, a click by who made it and where it leads.
select
    tenant_id,
    {{ date_of_event() }} as date,
    campaign_id,
    case when event_type = 'message.opened' then md5(nullif(user_agent, ''))::uuid end as user_agent_md5,
    case when event_type = 'message.opened' then nullif(geo_location ->> 'country', '') end as country,
    case when event_type = 'message.opened' then nullif(geo_location ->> 'city', '') end as city,
    case when event_type = 'link.clicked' then coalesce(nullif(event_data ->> 'url', ''), 'unknown') end as url,
    case when event_type = 'link.clicked' then contact_id end as contact_id,
    (count(*) filter (where event_type = 'message.opened'))::integer as opened,
    (count(*) filter (where event_type = 'message.opened' and is_machine))::integer as machine_opened,
    (count(*) filter (where event_type = 'link.clicked'))::integer as clicked,
    (count(*) filter (where event_type = 'link.clicked' and is_machine))::integer as machine_clicked

from {{ ref('stg_iris__events') }}
where
    {{ in_window('timestamp') }}
    and event_type in ('message.opened', 'link.clicked')
    and campaign_id is not null
group by 1, 2, 3, 4, 5, 6, 7, 8

select
    tenant_id,
    campaign_id,
    hour_start,
    sum(sent)::bigint as sent,
    sum(delivered)::bigint as delivered,
    sum(failed)::bigint as failed,
    sum(opened)::bigint as opened,
    sum(clicked)::bigint as clicked,
    sum(converted)::bigint as converted,
    sum(opened - machine_opened)::bigint as human_opens,
    sum(clicked - machine_clicked)::bigint as human_clicks

from {{ ref('int_campaign_activity_hourly') }}
group by tenant_id, campaign_id, hour_start

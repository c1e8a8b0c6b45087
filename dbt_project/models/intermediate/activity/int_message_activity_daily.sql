-- What adds up over a group stands with its first event. Columns that a reader does not name cost nothing.
select
    activity.tenant_id,
    activity.date,
    events.message_id,
    events.contact_id,
    activity.campaign_id,
    activity.channel,
    activity.provider,
    activity.variant,
    activity.event_type,
    (activity.event_type = 'message.sent')::integer as sent,
    (activity.event_type = 'message.delivered')::integer as delivered,
    (activity.event_type = 'message.failed')::integer as failed,
    (activity.event_type = 'message.opened')::integer as opened,
    (activity.event_type = 'link.clicked')::integer as clicked,
    (activity.event_type = 'call.answered')::integer as answered,
    (activity.event_type = 'conversion')::integer as converted,
    (activity.event_type in ('email.hard_bounce', 'email.soft_bounce'))::integer as bounced,
    (activity.event_type = 'email.complaint')::integer as complained,
    (activity.event_type = 'message.unsubscribed')::integer as unsubscribed,
    (activity.event_type = 'message.opened' and activity.is_machine)::integer as machine_opened,
    (activity.event_type = 'link.clicked' and activity.is_machine)::integer as machine_clicked,
    case when events.position = 1 then activity.costs else 0 end as costs,
    case when events.position = 1 then activity.cost end as cost,
    case when events.position = 1 then activity.delivery_times else 0 end as delivery_times,
    case when events.position = 1 then activity.delivery_time_ms end as delivery_time_ms,
    events.revenue,
    activity.first_event_at,
    activity.last_event_at

from {{ ref('int_activity_daily') }} as activity
cross join
    lateral unnest(activity.message_ids, activity.contact_ids, activity.revenues)
    with ordinality as events (message_id, contact_id, revenue, position)

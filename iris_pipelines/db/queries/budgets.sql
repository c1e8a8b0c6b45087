-- name: budget_settings()
select
    settings.tenant_id,
    settings.setting_key,
    settings.setting_value
from iris.tenant_settings as settings
where
    settings.setting_value is not null
    and (
        settings.setting_key = 'monthly_budget'
        or starts_with(settings.setting_key, 'monthly_budget.')
    )
order by settings.tenant_id, settings.setting_key;

-- name: daily_costs(tenant_id, zone, window_start, window_end, channel, campaign)
-- What each day of a tenant's calendar cost, from the events.
select
    (events.timestamp at time zone :zone)::date as day,
    sum(events.cost) as cost
from iris.analytics_events as events
where
    events.tenant_id = :tenant_id
    and events.timestamp >= :window_start
    and events.timestamp < :window_end
    and events.event_type <> 'api.request'
    and events.cost is not null
    and events.cost <> 'NaN'
    and (:channel::text is null or events.channel = :channel)
    and (:campaign::uuid is null or events.campaign_id = :campaign)
group by day
order by day;

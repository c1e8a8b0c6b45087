-- name: first_numbers()
-- What the demo shows first: the totals of every tenant's channels.
select
    tenants.name,
    daily.channel,
    sum(daily.messages_sent)::bigint as messages_sent,
    sum(daily.messages_delivered)::bigint as messages_delivered,
    round(100 * sum(daily.messages_delivered) / nullif(sum(daily.messages_sent), 0), 2) as delivery_rate,
    sum(daily.messages_opened)::bigint as messages_opened,
    round(100 * sum(daily.messages_opened) / nullif(sum(daily.messages_delivered), 0), 2) as open_rate,
    sum(daily.total_cost) as total_cost
from analytics.analytics_daily as daily
inner join iris.tenants as tenants on daily.tenant_id = tenants.id
group by tenants.id, tenants.name, daily.channel
order by tenants.name, messages_sent desc, daily.channel;

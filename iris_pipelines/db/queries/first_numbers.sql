-- name: first_numbers()
-- What the demo shows first: the totals of every tenant's channels.
select
    tenants.name,
    daily.channel,
    sum(daily.messages_sent)::bigint as messages_sent,
    round(100 * sum(daily.messages_delivered) / nullif(sum(daily.messages_sent), 0), 2) as delivery_rate,
    round(100 * sum(daily.messages_opened) / nullif(sum(daily.messages_delivered), 0), 2) as open_rate,
    round(
        100 * sum(daily.messages_opened - daily.machine_opens) / nullif(sum(daily.messages_delivered), 0), 2
    ) as human_open_rate,
    sum(daily.total_cost) as total_cost
from analytics.analytics_daily as daily
inner join iris.tenants as tenants on daily.tenant_id = tenants.id
group by tenants.id, tenants.name, daily.channel
order by
    sum(sum(daily.messages_sent)) over (partition by tenants.id) desc,
    tenants.name asc,
    messages_sent desc,
    daily.channel asc;

-- The design guide's own queries on the events, as `iris bench` compares the marts with them.

-- name: guide_ranking(tenant_id, channel, first, last)
select
    provider,
    count(*) filter (where event_type = 'message.sent') as total_sent,
    count(*) filter (where event_type = 'message.delivered') as total_delivered,
    count(*) filter (where event_type = 'message.failed') as total_failed,
    round(
        (
            count(*) filter (where event_type = 'message.delivered')::decimal
            / nullif(count(*) filter (where event_type = 'message.sent'), 0)
        ) * 100,
        2
    ) as delivery_rate,
    avg(duration_ms) filter (where event_type = 'message.delivered') as avg_delivery_time_ms,
    percentile_cont(0.95) within group (order by duration_ms)
    filter (where event_type = 'message.delivered') as p95_delivery_time_ms,
    sum(cost) as total_cost,
    avg(cost) as avg_cost_per_message,
    count(*) filter (where success)::decimal / nullif(count(*), 0) * 100 as success_rate
from iris.analytics_events
where
    tenant_id = :tenant_id
    and channel = :channel
    and timestamp >= :first::date
    and timestamp < :last::date
group by provider
order by delivery_rate desc, avg_delivery_time_ms asc;

-- name: mart_ranking(tenant_id, channel, last)
select *
from analytics.provider_rankings
where
    tenant_id = :tenant_id
    and channel = :channel
    and as_of_date = :last::date - 1
    and window_days = 30
order by rank;

-- name: guide_costs(tenant_id, first, last)
select
    date(timestamp) as date,
    channel,
    provider,
    count(*) filter (where event_type = 'message.sent') as messages_sent,
    sum(cost) as total_cost,
    avg(cost) as avg_cost_per_message
from iris.analytics_events
where
    tenant_id = :tenant_id
    and timestamp >= :first::date
    and timestamp < :last::date
    and cost is not null
group by date(timestamp), channel, provider
order by date(timestamp) desc, total_cost desc;

-- name: mart_costs(tenant_id, first, last)
select *
from analytics.cost_daily
where
    tenant_id = :tenant_id
    and date >= :first
    and date < :last
order by date desc, total_cost desc;

-- name: guide_spend(tenant_id, first, last)
select
    sum(cost) as total_cost,
    count(*) filter (where event_type = 'message.sent') as total_messages,
    avg(cost) as avg_cost_per_message
from iris.analytics_events
where
    tenant_id = :tenant_id
    and timestamp >= :first::date
    and timestamp < :last::date;

-- name: mart_spend(tenant_id, first, last)
select
    sum(total_cost) as total_cost,
    sum(messages_sent) as total_messages
from analytics.cost_daily
where
    tenant_id = :tenant_id
    and date >= :first
    and date < :last;

-- name: guide_savings(tenant_id, first, last)
select
    channel,
    sum(cost) as actual_cost,
    sum(cost * 1.4) as estimated_cost_without_lcr,
    sum(cost * 1.4) - sum(cost) as estimated_savings
from iris.analytics_events
where
    tenant_id = :tenant_id
    and timestamp >= :first::date
    and timestamp < :last::date
group by channel;

-- name: mart_savings(tenant_id, first, last)
select
    channel,
    sum(actual_cost) as actual_cost,
    sum(estimated_cost_without_lcr) as estimated_cost_without_lcr,
    sum(measured_cost_dearest) as measured_cost_dearest,
    sum(measured_cost_average) as measured_cost_average
from analytics.lcr_savings
where
    tenant_id = :tenant_id
    and date >= :first
    and date < :last
group by channel;

-- name: guide_quality(tenant_id, first, last)
select
    channel,
    round(
        (
            count(*) filter (where event_type = 'message.delivered')::decimal
            / nullif(count(*) filter (where event_type = 'message.sent'), 0)
        ) * 100,
        2
    ) as delivery_rate,
    avg(duration_ms) filter (where event_type = 'message.delivered') as avg_delivery_time_ms,
    percentile_cont(0.50) within group (order by duration_ms)
    filter (where event_type = 'message.delivered') as p50_delivery_time_ms,
    percentile_cont(0.95) within group (order by duration_ms)
    filter (where event_type = 'message.delivered') as p95_delivery_time_ms,
    percentile_cont(0.99) within group (order by duration_ms)
    filter (where event_type = 'message.delivered') as p99_delivery_time_ms,
    round(
        (
            count(*) filter (where event_type = 'message.failed')::decimal
            / nullif(count(*) filter (where event_type = 'message.sent'), 0)
        ) * 100,
        2
    ) as error_rate
from iris.analytics_events
where
    tenant_id = :tenant_id
    and timestamp >= :first::date
    and timestamp < :last::date
group by channel;

-- name: mart_quality(tenant_id, first, last)
select
    channel,
    sum(total_sent) as total_sent,
    sum(total_delivered) as total_delivered,
    sum(total_failed) as total_failed
from analytics.delivery_quality_daily
where
    tenant_id = :tenant_id
    and date >= :first
    and date < :last
group by channel;

-- name: largest_tenant(first, last)^
select
    tenant_id,
    mode() within group (order by channel) as channel
from iris.analytics_events
where
    channel is not null
    and timestamp >= :first::date
    and timestamp < :last::date
group by tenant_id
order by count(*) desc
limit 1;

-- What the plots of assets show: of all tenants together, some numbers that fit into a small picture.

-- name: plot_costs()
-- Costs of the last 30 days, by currency, day and channel; the currency with the most messages first.
with last_day as (
    select max(date) as date
    from analytics_intermediate.int_channel_activity_daily
),

activity as (
    select
        coalesce(tenants.currency, 'USD') as currency,
        activity.date,
        activity.channel,
        activity.total_cost,
        activity.messages_sent
    from analytics_intermediate.int_channel_activity_daily as activity
    cross join last_day
    left join iris.tenants as tenants on activity.tenant_id = tenants.id
    where activity.date > last_day.date - 30
),

costs as (
    select
        currency,
        date,
        channel,
        sum(total_cost) as cost,
        sum(sum(messages_sent)) over (partition by currency) as messages_of_currency
    from activity
    group by currency, date, channel
)

select
    currency,
    date,
    channel,
    cost
from costs
where cost > 0
order by messages_of_currency desc, currency asc, date asc, channel asc;

-- name: plot_levels()
-- Contacts by level, as of the last 35 days.
with last_date as (
    select max(as_of_date) as as_of_date
    from analytics_intermediate.int_engagement_levels
)

select
    levels.as_of_date,
    levels.engagement_level,
    sum(levels.contacts)::bigint as contacts
from analytics_intermediate.int_engagement_levels as levels
cross join last_date
where levels.as_of_date > last_date.as_of_date - 35
group by levels.as_of_date, levels.engagement_level
order by levels.as_of_date, levels.engagement_level;

-- name: plot_campaigns()
-- The campaigns that were active last, with what was delivered, and who opened and clicked.
select
    coalesce(campaign_name, campaign_id::text) as campaign,
    total_delivered,
    unique_opens,
    unique_clicks
from analytics.campaign_performance
order by last_event_at desc, tenant_id asc, campaign_id asc
limit 10;

-- name: plot_variants()
-- The open rates of the variants of the last four A/B tests.
with tests as (
    select
        performance.tenant_id,
        performance.campaign_id,
        coalesce(performance.campaign_name, performance.campaign_id::text) as campaign,
        performance.last_event_at
    from analytics.campaign_performance as performance
    where
        exists (
            select from analytics.campaign_variants as variants
            where
                variants.tenant_id = performance.tenant_id
                and variants.campaign_id = performance.campaign_id
        )
    order by performance.last_event_at desc, performance.tenant_id asc, performance.campaign_id asc
    limit 4
)

select
    tests.campaign,
    variants.variant,
    variants.rate,
    variants.rate_low,
    variants.rate_high,
    variants.verdict
from tests
inner join analytics.campaign_variants as variants
    on
        tests.tenant_id = variants.tenant_id
        and tests.campaign_id = variants.campaign_id
        and variants.metric = 'open'
where variants.rate is not null
order by tests.last_event_at desc, tests.campaign asc, variants.variant asc;

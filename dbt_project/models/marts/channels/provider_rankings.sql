{{ config(materialized='windowed') }}

with

activity as (

    select * from {{ ref('int_channel_activity_daily') }}
    where provider <> 'unknown'

),

spans as (

    select
        dates.as_of_date,
        windows.window_days,
        dates.as_of_date - (windows.window_days - 1) as first_date

    from {{ dates_in_window() }} as dates (as_of_date)
    cross join (values (7), (30)) as windows (window_days)

),

totals as (

    select
        activity.tenant_id,
        spans.as_of_date,
        spans.window_days,
        activity.channel,
        activity.provider,
        sum(activity.messages_sent)::bigint as total_sent,
        sum(activity.messages_delivered)::bigint as total_delivered,
        sum(activity.messages_failed)::bigint as total_failed,
        sum(activity.messaging_events)::bigint as total_events,
        sum(activity.messaging_successes)::bigint as successful_events,
        {{ mean_ms('sum(activity.delivery_time_ms)', 'sum(activity.delivery_times)') }} as avg_delivery_time_ms,
        sum(activity.messaging_cost) as total_cost,
        {{ mean_cost('sum(activity.messaging_cost)', 'sum(activity.messaging_costs)') }} as avg_cost_per_message

    from spans
    inner join activity on activity.date between spans.first_date and spans.as_of_date
    group by activity.tenant_id, spans.as_of_date, spans.window_days, activity.channel, activity.provider
    having sum(activity.messaging_events) > 0

),

-- A number for each group: buckets are added up by it in a third of the time that its five columns would take.
numbered as (

    select
        tenant_id,
        as_of_date,
        window_days,
        channel,
        provider,
        row_number() over () as number

    from totals

),

-- Materialized, so that they are looked through once: the planner, who takes the groups for few, would look up the days of
-- each of them.
histograms as materialized (

    select
        tenant_id,
        date,
        channel,
        provider,
        buckets,
        counts

    from {{ ref('int_delivery_times_daily') }}
    where
        date between (select min(spans.first_date) from spans) and (select max(spans.as_of_date) from spans)
        and provider is not null

),

buckets as materialized (

    select
        numbered.number,
        histogram.bucket,
        sum(histogram.deliveries) as deliveries

    from numbered
    inner join histograms as times
        on
            numbered.tenant_id = times.tenant_id
            and numbered.channel = times.channel
            and numbered.provider = times.provider
            and times.date between numbered.as_of_date - (numbered.window_days - 1) and numbered.as_of_date
    {{ rows_of_histograms('times') }}
    group by numbered.number, histogram.bucket

),

percentiles as (

    {{ percentiles_of_buckets('buckets', ['number'], percentages=[95]) }}

),

scored as (

    {{ provider_scores('totals') }}

),

final as (

    select
        scored.*,
        percentiles.p95_delivery_time_ms,
        now() as computed_at

    from scored
    left join numbered
        on
            scored.tenant_id = numbered.tenant_id
            and scored.as_of_date = numbered.as_of_date
            and scored.window_days = numbered.window_days
            and scored.channel = numbered.channel
            and scored.provider = numbered.provider
    left join percentiles on numbered.number = percentiles.number

)

select * from final

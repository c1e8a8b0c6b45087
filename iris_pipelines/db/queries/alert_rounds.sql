-- Which rules somebody must look at: every enabled one is judged here, and those that are as quiet as they were are left
-- alone. What is handed back is judged again by the one definition there is, in Python; a test compares the two.

-- name: rules_to_check(checked_by)
-- Enabled rules that were changed since they were read, or never read by this code.
select
    rules.tenant_id,
    rules.id,
    rules.revision,
    rules.name,
    rules.condition,
    rules.actions,
    rules.severity,
    rules.quiet_hours
from iris.alert_rules as rules
left join iris.checked_alert_rules as checked
    on
        rules.tenant_id = checked.tenant_id
        and rules.id = checked.rule_id
        and rules.revision = checked.revision
        and checked.checked_by = :checked_by
where
    rules.enabled
    and checked.rule_id is null;

-- name: store_checked_rules(tenant_ids, rule_ids, revisions, checked_by, problems, sources, kinds, numerators, denominators, operators, thresholds, time_limits, time_windows, channels, providers, campaign_ids, min_volumes, alerts_without_data)!
insert into iris.checked_alert_rules (
    tenant_id,
    rule_id,
    revision,
    problem,
    source,
    kind,
    numerator,
    denominator,
    operator,
    threshold,
    time_limit,
    time_window,
    channel,
    provider,
    campaign_id,
    min_volume,
    alerts_without_data,
    checked_by
)
select
    found.*,
    :checked_by as checked_by
from
    unnest(
        :tenant_ids::uuid[],
        :rule_ids::uuid[],
        :revisions::bigint[],
        :problems::text[],
        :sources::text[],
        :kinds::text[],
        :numerators::text[],
        :denominators::text[],
        :operators::text[],
        :thresholds::numeric[],
        :time_limits::bigint[],
        :time_windows::int[],
        :channels::text[],
        :providers::text[],
        :campaign_ids::uuid[],
        :min_volumes::bigint[],
        :alerts_without_data::boolean[]
    ) as found
on conflict (tenant_id, rule_id) do update set
    revision = excluded.revision,
    checked_by = excluded.checked_by,
    problem = excluded.problem,
    source = excluded.source,
    kind = excluded.kind,
    numerator = excluded.numerator,
    denominator = excluded.denominator,
    operator = excluded.operator,
    threshold = excluded.threshold,
    time_limit = excluded.time_limit,
    time_window = excluded.time_window,
    channel = excluded.channel,
    provider = excluded.provider,
    campaign_id = excluded.campaign_id,
    min_volume = excluded.min_volume,
    alerts_without_data = excluded.alerts_without_data;

-- name: time_limits_of_rules()
select distinct time_limit
from iris.enabled_alert_rules
where time_limit is not null
order by time_limit;

-- name: windows_of_rules()
-- How many enabled rules there are of each source and window; those without a source cannot be evaluated.
select
    source,
    time_window,
    count(*) as rules
from iris.enabled_alert_rules
group by source, time_window;

-- name: rules_not_judged(judged)
-- Rules that cannot be evaluated, and those of sources that are not judged below.
select
    tenant_id,
    rule_id
from iris.enabled_alert_rules
where source is null or source <> all(:judged::text[]);

-- name: rules_with_incidents()
-- Rules that have an open incident.
select
    rules.tenant_id,
    rules.id
from iris.system_alerts as alerts
inner join iris.alert_rules as rules
    on
        alerts.tenant_id = rules.tenant_id
        and alerts.rule_id = rules.id
where
    alerts.status = 'firing'
    and rules.enabled;

-- name: rules_with_states(tenant_ids, rule_ids)
select
    rules.tenant_id,
    rules.id,
    states.state,
    states.since,
    states.problem,
    rules.name,
    rules.condition,
    rules.actions,
    rules.severity,
    rules.quiet_hours
from unnest(:tenant_ids::uuid[], :rule_ids::uuid[]) as asked (tenant_id, rule_id)
inner join iris.alert_rules as rules
    on
        asked.tenant_id = rules.tenant_id
        and asked.rule_id = rules.id
left join iris.alert_rule_states as states
    on
        rules.tenant_id = states.tenant_id
        and rules.id = states.rule_id;

-- name: read_in_the_order_of_the_table(setting)$
-- `off` for a statement that reads many rows of a table whose order is not that of its index: half the time.
select set_config('enable_indexscan', :setting, true);

-- name: rules_that_stand_out(source, time_windows, time_limits, measures, raw_starts, raw_ends, raw_firsts, raw_lasts, rolled_starts, rolled_ends, rolled_lasts, earliest, latest)
-- Of the rules of one source, those that hold, or do not stand where they stood. Window n is the n-th of
-- `time_windows`, the longest first. A span of time is part of the windows from its `first` to its `last`: raw spans are
-- read from the events, rolled ones from analytics_hourly, where they are part of the first window and all up to `last`.
-- Where it says `offset 0`, the planner is kept from merging what belongs apart: spans must bound the index scans, and
-- what is computed once for each event must not be computed again for each measure.
-- A percentile is not computed: how many delivery times are below the limit says on which side of it the percentile is,
-- unless the limit lies between the two times that it is interpolated from. Then the rule stands out.
with rules as materialized (
    select
        enabled.tenant_id,
        enabled.rule_id as id,
        states.state,
        enabled.kind,
        enabled.operator,
        enabled.threshold,
        enabled.channel,
        enabled.provider,
        enabled.campaign_id,
        enabled.min_volume,
        enabled.alerts_without_data,
        array_position(:time_windows::int[], enabled.time_window) as window_no,
        array_position(:time_limits::bigint[], enabled.time_limit) as limit_no,
        array_position(:measures::text[], enabled.numerator) as numerator,
        array_position(:measures::text[], enabled.denominator) as denominator
    from iris.enabled_alert_rules as enabled
    left join iris.alert_rule_states as states
        on
            enabled.tenant_id = states.tenant_id
            and enabled.rule_id = states.rule_id
    where enabled.source = :source
),

tenant_windows as materialized (
    select distinct
        tenant_id,
        window_no
    from rules
),

-- What no rule asks for is not told apart.
asked as materialized (
    select
        bool_or(channel is not null) as by_channel,
        bool_or(provider is not null) as by_provider,
        array_agg(distinct campaign_id) filter (where campaign_id is not null) as campaign_ids
    from rules
),

raw_spans as (
    select *
    from
        unnest(:raw_starts::timestamptz[], :raw_ends::timestamptz[], :raw_firsts::int[], :raw_lasts::int[])
        with ordinality as spans (span_start, span_end, first_window, last_window, span_no)
),

rolled_spans as (
    select *
    from unnest(:rolled_starts::timestamptz[], :rolled_ends::timestamptz[], :rolled_lasts::int[])
        as spans (span_start, span_end, last_window)
),

-- A span of a tenant, once for all of its windows.
wanted as materialized (
    select distinct
        tenant_windows.tenant_id,
        raw_spans.span_no
    from tenant_windows
    inner join raw_spans on tenant_windows.window_no between raw_spans.first_window and raw_spans.last_window
),

-- To read the events of all tenants in the order they lie in costs half of what it does tenant by tenant; before
-- PostgreSQL 18, which skips through an index that begins with the tenant, it would cost more.
spans as materialized (
    select
        raw_spans.*,
        count(*) * 3 >= (select count(*) from iris.tenants)
        and current_setting('server_version_num')::int >= 180000 as for_most
    from raw_spans
    inner join wanted on raw_spans.span_no = wanted.span_no
    group by
        raw_spans.span_start, raw_spans.span_end, raw_spans.first_window, raw_spans.last_window, raw_spans.span_no
),

seen as (
    select
        events.*,
        spans.span_no
    from spans
    cross join
        lateral (
            select
                log.tenant_id,
                log.event_type,
                log.channel,
                log.provider,
                log.campaign_id,
                log.cost,
                log.duration_ms,
                log.success
            from iris.analytics_events as log
            where
                log.timestamp >= spans.span_start
                and log.timestamp < spans.span_end
                and log.timestamp >= :earliest
                and log.timestamp < :latest
            offset 0 -- noqa: AM09
        ) as events
    where spans.for_most
    union all
    select
        events.*,
        spans.span_no
    from wanted
    inner join spans on wanted.span_no = spans.span_no
    cross join
        lateral (
            select
                log.tenant_id,
                log.event_type,
                log.channel,
                log.provider,
                log.campaign_id,
                log.cost,
                log.duration_ms,
                log.success
            from iris.analytics_events as log
            where
                log.tenant_id = wanted.tenant_id
                and log.timestamp >= spans.span_start
                and log.timestamp < spans.span_end
                and log.timestamp >= :earliest
                and log.timestamp < :latest
            offset 0 -- noqa: AM09
        ) as events
    where not spans.for_most
),

-- Which of the measures below an event counts for, looked up once: to compare texts for each of them would take longer
-- than to read the events.
sorted as (
    select
        seen.tenant_id,
        seen.span_no,
        case when (select asked.by_channel from asked) then coalesce(seen.channel, 'unknown') end as channel,
        case when (select asked.by_provider from asked) then coalesce(seen.provider, 'unknown') end as provider,
        case when seen.campaign_id = any((select asked.campaign_ids from asked)::uuid[]) then seen.campaign_id end
            as campaign_id,
        case seen.event_type
            when 'message.sent' then 1
            when 'message.delivered' then 2
            when 'message.opened' then 4
            when 'link.clicked' then 5
            when 'message.failed' then 3
            when 'api.request' then 8
            when 'email.hard_bounce' then 6
            when 'email.soft_bounce' then 6
            when 'email.complaint' then 7
        end as kind,
        case
            when seen.event_type = 'message.delivered' and cardinality(:time_limits::bigint[]) > 0
                then width_bucket(seen.duration_ms, :time_limits::bigint[])
        end as limits_reached,
        seen.cost,
        seen.duration_ms,
        seen.success
    from seen
    offset 0 -- noqa: AM09
),

-- In the order of `measures`.
counted as materialized (
    select
        sorted.tenant_id,
        sorted.span_no,
        sorted.channel,
        sorted.provider,
        sorted.campaign_id,
        sorted.limits_reached,
        array[
            count(*) filter (where sorted.kind = 1),
            count(*) filter (where sorted.kind = 2),
            count(*) filter (where sorted.kind = 3),
            count(*) filter (where sorted.kind = 4),
            count(*) filter (where sorted.kind = 5),
            count(*) filter (where sorted.kind = 6),
            count(*) filter (where sorted.kind = 7),
            count(sorted.duration_ms) filter (where sorted.kind = 2),
            count(*) filter (where sorted.kind = 8),
            count(*) filter (where sorted.kind = 8 and sorted.success is not true)
        ] as measures,
        sum(sorted.duration_ms) filter (where sorted.kind = 2) as delivery_ms,
        sum(sorted.cost) filter (where sorted.kind is distinct from 8) as total_cost
    from sorted
    group by
        sorted.tenant_id,
        sorted.span_no,
        sorted.channel,
        sorted.provider,
        sorted.campaign_id,
        sorted.limits_reached
),

rolled as materialized (
    select
        tenants.tenant_id,
        rolled_spans.last_window,
        hourly.asked_channel as channel,
        hourly.asked_provider as provider,
        array[
            sum(hourly.messages_sent)::bigint,
            sum(hourly.messages_delivered)::bigint,
            sum(hourly.messages_failed)::bigint,
            sum(hourly.messages_opened)::bigint,
            sum(hourly.messages_clicked)::bigint,
            sum(hourly.messages_bounced)::bigint,
            sum(hourly.messages_complained)::bigint
        ] as measures,
        sum(hourly.total_cost) as total_cost
    from (
        select
            tenant_id,
            min(window_no) as first_window
        from tenant_windows
        group by tenant_id
    ) as tenants
    inner join rolled_spans on tenants.first_window <= rolled_spans.last_window
    cross join
        lateral (
            select
                rollup.*,
                case when (select asked.by_channel from asked) then rollup.channel end as asked_channel,
                case when (select asked.by_provider from asked) then rollup.provider end as asked_provider
            from analytics.analytics_hourly as rollup
            where
                rollup.tenant_id = tenants.tenant_id
                and rollup.timestamp >= rolled_spans.span_start
                and rollup.timestamp < rolled_spans.span_end
            offset 0 -- noqa: AM09
        ) as hourly
    group by tenants.tenant_id, rolled_spans.last_window, hourly.asked_channel, hourly.asked_provider
),

cells as (
    select
        counted.tenant_id,
        spans.first_window,
        spans.last_window,
        counted.channel,
        counted.provider,
        counted.campaign_id,
        counted.limits_reached,
        counted.measures,
        counted.delivery_ms,
        counted.total_cost
    from counted
    inner join spans on counted.span_no = spans.span_no
    union all
    select
        rolled.tenant_id,
        1 as first_window,
        rolled.last_window,
        rolled.channel,
        rolled.provider,
        null::uuid as campaign_id,
        null::int as limits_reached,
        rolled.measures,
        null::numeric as delivery_ms,
        rolled.total_cost
    from rolled
),

measured as (
    select
        rules.tenant_id,
        rules.id,
        coalesce(
            sum(cells.measures[rules.numerator])
            filter (where rules.limit_no is null or cells.limits_reached < rules.limit_no),
            0
        )::bigint as numerator,
        coalesce(sum(cells.measures[rules.denominator]), 0)::bigint as denominator,
        case rules.kind when 'mean' then sum(cells.delivery_ms) when 'cost' then sum(cells.total_cost) end as total
    from rules
    left join (
        select
            cells.*,
            windows.window_no
        from cells
        cross join lateral generate_series(cells.first_window, cells.last_window) as windows (window_no)
    ) as cells
        on
            rules.tenant_id = cells.tenant_id
            and rules.window_no = cells.window_no
            and (rules.channel is null or rules.channel = cells.channel)
            and (rules.provider is null or rules.provider = cells.provider)
            and (rules.campaign_id is null or rules.campaign_id = cells.campaign_id)
    group by rules.tenant_id, rules.id, rules.kind
),

valued as (
    select
        rules.*,
        measured.denominator as volume,
        case rules.kind
            -- Half away from zero, in whole numbers: nothing is rounded twice.
            when 'rate'
                then (20000 * measured.numerator + measured.denominator) / nullif(2 * measured.denominator, 0) * 0.01
            when 'mean' then round(measured.total / nullif(measured.denominator, 0))
            when 'cost' then nullif(measured.total, 'NaN')
            when 'percentile' then nullif(measured.denominator, 0)
            else measured.numerator
        end as value,
        case
            when rules.limit_no is null then null
            when measured.numerator = measured.denominator then false
            when measured.numerator <= floor(0.95 * (measured.denominator - 1)) then true
            when measured.numerator >= floor(0.95 * (measured.denominator - 1)) + 2 then false
        end as reaches_limit
    from rules
    inner join measured on rules.tenant_id = measured.tenant_id and rules.id = measured.id
),

judged as (
    select
        valued.tenant_id,
        valued.id,
        valued.state,
        case
            when valued.value is null then nullif(valued.alerts_without_data, false)
            when valued.volume < valued.min_volume then null
            when valued.kind = 'percentile' then valued.reaches_limit = (valued.operator in ('>', '>='))
            when valued.operator = '>' then valued.value > valued.threshold
            when valued.operator = '<' then valued.value < valued.threshold
            when valued.operator = '>=' then valued.value >= valued.threshold
            when valued.operator = '<=' then valued.value <= valued.threshold
            else valued.value = valued.threshold
        end as holds,
        valued.kind = 'percentile' and valued.value is not null and valued.reaches_limit is null as is_close
    from valued
)

select
    judged.tenant_id,
    judged.id
from judged
where
    judged.holds
    or judged.is_close
    or judged.state is distinct from case when judged.holds is null then 'unknown' else 'ok' end;

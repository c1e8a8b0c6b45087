-- name: register_consumer(consumer, grain, inputs, reach_days)^
-- Adds a consumer, or learns what it stands on now, and says whether it is new; one that is known is left alone.
insert into iris.event_consumers as known (consumer, grain, inputs, reach_days)
values (:consumer, :grain, :inputs, :reach_days)
on conflict (consumer) do update
    set grain = excluded.grain, inputs = excluded.inputs, reach_days = excluded.reach_days
    where (known.grain, known.inputs, known.reach_days)
    is distinct from (excluded.grain, excluded.inputs, excluded.reach_days)
returning true;

-- name: mark_all_hours_stale(consumer, reach_days)!
-- A new consumer has yet to build everything: every hour that has events, and as far as these reach.
insert into iris.stale_hours (consumer, hour)
select distinct
    :consumer as consumer,
    hours.hour + make_interval(days => ahead.days)
from (
    select distinct date_bin('1 hour', events.timestamp, timestamptz '2000-01-01 00:00:00+00') as hour
    from iris.analytics_events as events
) as hours
cross join generate_series(0, :reach_days) as ahead (days);

-- name: mark_all_campaigns_stale(consumer)!
-- A new consumer has yet to build everything; campaigns of no name are found when a window of its inputs is replaced.
insert into iris.stale_campaigns (consumer, tenant_id, campaign_id)
select
    :consumer as consumer,
    campaigns.tenant_id,
    campaigns.id
from iris.campaigns as campaigns;

-- name: hand_out_touched_hours()!
-- Moves what the ledger holds to every consumer, but for hours that it touched itself. Rows that another hand-out
-- holds are its business.
with taken as (
    delete from iris.touched_hours
    where
        ctid = any(
            array(
                select ledger.ctid from iris.touched_hours as ledger
                for update skip locked
            )
        )
    returning
        hour,
        noted_by
)

insert into iris.stale_hours (consumer, hour)
select distinct
    consumers.consumer,
    taken.hour
from taken
inner join iris.event_consumers as consumers
    on
        'iris.analytics_events' = any(consumers.inputs)
        and taken.noted_by is distinct from consumers.consumer;

-- name: stale_hours_closed_before(closed_before)
-- Every consumer with its stale hours that have ended.
-- Those of future days, to which the present ones reach, wait.
select distinct
    stale.consumer,
    consumers.grain,
    stale.hour
from iris.stale_hours as stale
inner join iris.event_consumers as consumers on stale.consumer = consumers.consumer
where stale.hour < :closed_before
order by stale.consumer, stale.hour;

-- name: consumers_with_stale_campaigns()
-- Every consumer that has campaigns to compute anew.
select distinct consumer
from iris.stale_campaigns;

-- name: request_rebuild(rebuild_id, requested_by)!
insert into iris.rebuilds (rebuild_id, requested_by)
values (:rebuild_id, :requested_by);

-- name: request_window(rebuild_id, window_start, window_end)*!
-- Notes one window that a rebuild is to replace.
insert into iris.rebuild_windows (rebuild_id, window_start, window_end)
values (:rebuild_id, :window_start, :window_end);

-- name: note_rebuilt_window(rebuild_id, relation, window_start, window_end, row_count)*!
-- Notes one window that was replaced.
insert into iris.rebuilt_windows (rebuild_id, relation, window_start, window_end, row_count)
values (:rebuild_id, :relation, :window_start, :window_end, :row_count);

-- name: forget_rebuilds(before)!
-- Rebuilds requested before an instant: their record is of no more use.
with forgotten as (
    delete from iris.rebuilds
    where requested_at < :before
    returning rebuild_id
),

windows as (
    delete from iris.rebuild_windows
    using forgotten
    where rebuild_windows.rebuild_id = forgotten.rebuild_id
),

rebuilt_windows as (
    delete from iris.rebuilt_windows
    using forgotten
    where rebuilt_windows.rebuild_id = forgotten.rebuild_id
)

delete from iris.rebuilt_campaigns
using forgotten
where rebuilt_campaigns.rebuild_id = forgotten.rebuild_id;

-- name: rebuilt_rows(rebuild_ids)
-- What rebuilds replaced, relation by relation: how many windows or campaigns, and the rows that these have now.
select
    parts.relation,
    sum(parts.window_count)::bigint as window_count,
    sum(parts.campaign_count)::bigint as campaign_count,
    sum(parts.row_count)::bigint as row_count
from (
    select
        relation,
        1 as window_count,
        0 as campaign_count,
        row_count
    from iris.rebuilt_windows
    where rebuild_id = any(:rebuild_ids)
    union all
    select
        relation,
        0 as window_count,
        campaign_count,
        row_count
    from iris.rebuilt_campaigns
    where rebuild_id = any(:rebuild_ids)
) as parts
group by parts.relation
order by parts.relation;

-- name: rebuilds_of_run(requested_by)
select rebuild_id
from iris.rebuilds
where requested_by = :requested_by;

-- name: built_views()
-- The views that are there, with the checksum of the file they were made from.
select
    relation,
    checksum
from iris.built_views
where to_regclass(relation) is not null;

-- name: note_built_view(relation, checksum)!
insert into iris.built_views (relation, checksum)
values (:relation, :checksum)
on conflict (relation) do update set checksum = excluded.checksum, built_at = clock_timestamp();

-- name: requested_windows(requested_by)
-- What a run wanted replaced.
select
    requested.window_start,
    requested.window_end
from iris.rebuild_windows as requested
inner join iris.rebuilds as rebuilds on requested.rebuild_id = rebuilds.rebuild_id
where rebuilds.requested_by = :requested_by
order by requested.window_start;

-- name: server_time()$
select clock_timestamp();

-- name: rebuild_progress(since)^
-- How many windows were requested since an instant, and how many of them have been replaced in at least one relation.
select
    count(*) as requested,
    count(*) filter (
        where exists (
            select from iris.rebuilt_windows as rebuilt
            where
                rebuilt.rebuild_id = requested.rebuild_id
                and rebuilt.window_start = requested.window_start
        )
    ) as rebuilt
from iris.rebuild_windows as requested
where requested.requested_at >= :since;

-- name: missing_relations(names)
select names.name
from unnest(:names::text[]) as names (name)
where to_regclass(names.name) is null;

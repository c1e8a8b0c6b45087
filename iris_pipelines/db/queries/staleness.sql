-- name: register_consumer(consumer, grain)<!
-- Adds a consumer and says so; an old one is left as it is.
insert into iris.event_consumers (consumer, grain)
values (:consumer, :grain)
on conflict (consumer) do nothing
returning consumer;

-- name: mark_all_hours_stale(consumer)!
-- A new consumer has yet to build everything: every hour that has events.
insert into iris.stale_hours (consumer, hour)
select distinct
    :consumer as consumer,
    date_bin('1 hour', events.timestamp, timestamptz '2000-01-01 00:00:00+00') as hour
from iris.analytics_events as events;

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
inner join iris.event_consumers as consumers on taken.noted_by is distinct from consumers.consumer;

-- name: stale_hours_closed_before(closed_before)
-- Every consumer with its stale hours that have ended.
select distinct
    stale.consumer,
    consumers.grain,
    stale.hour
from iris.stale_hours as stale
inner join iris.event_consumers as consumers on stale.consumer = consumers.consumer
where stale.hour < :closed_before
order by stale.consumer, stale.hour;

-- name: request_window(rebuild_id, window_start, window_end, requested_by)*!
-- Notes one window that a rebuild is to replace.
insert into iris.rebuild_windows (rebuild_id, window_start, window_end, requested_by)
values (:rebuild_id, :window_start, :window_end, :requested_by);

-- name: note_rebuilt_window(rebuild_id, relation, window_start, window_end, row_count)*!
-- Notes one window that was replaced.
insert into iris.rebuilt_windows (rebuild_id, relation, window_start, window_end, row_count)
values (:rebuild_id, :relation, :window_start, :window_end, :row_count);

-- name: forget_rebuilds(before)!
-- Rebuilds requested before an instant: their record is of no more use.
with forgotten as (
    delete from iris.rebuild_windows
    where requested_at < :before
)

delete from iris.rebuilt_windows
where rebuilt_at < :before;

-- name: rebuilt_rows(rebuild_id)
-- What a rebuild replaced, relation by relation.
select
    relation,
    count(*) as windows,
    sum(row_count)::bigint as row_count
from iris.rebuilt_windows
where rebuild_id = :rebuild_id
group by relation
order by relation;

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
    window_start,
    window_end
from iris.rebuild_windows
where requested_by = :requested_by
order by window_start;

-- name: rebuilt_rows_of_run(requested_by)
-- What a run replaced, relation by relation.
select
    rebuilt.relation,
    count(*) as windows,
    sum(rebuilt.row_count)::bigint as row_count
from iris.rebuilt_windows as rebuilt
where
    rebuilt.rebuild_id in (
        select requested.rebuild_id
        from iris.rebuild_windows as requested
        where requested.requested_by = :requested_by
    )
group by rebuilt.relation
order by rebuilt.relation;

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

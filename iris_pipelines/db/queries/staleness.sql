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
    :consumer,
    date_bin('1 hour', events.timestamp, timestamptz '2000-01-01 00:00:00+00')
from iris.analytics_events as events;

-- name: hand_out_touched_hours()!
-- Moves what the ledger holds to every consumer. Rows that another hand-out holds are its business.
with taken as (
    delete from iris.touched_hours
    where
        ctid = any(
            array(
                select ledger.ctid from iris.touched_hours as ledger
                for update skip locked
            )
        )
    returning hour
),

hours as (
    select distinct hour from taken
)

insert into iris.stale_hours (consumer, hour)
select
    consumers.consumer,
    hours.hour
from hours
cross join iris.event_consumers as consumers;

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

-- name: request_window(rebuild_id, window_start, window_end)*!
-- Notes one window that a rebuild is to replace.
insert into iris.rebuild_windows (rebuild_id, window_start, window_end)
values (:rebuild_id, :window_start, :window_end);

-- name: rebuilt_windows(rebuild_id)
-- What a rebuild replaced.
select
    relation,
    window_start,
    window_end,
    row_count,
    rebuilt_at
from iris.rebuilt_windows
where rebuild_id = :rebuild_id
order by relation, window_start;

-- name: forget_rebuilds(before)!
-- Rebuilds requested before an instant: their record is of no more use.
with forgotten as (
    delete from iris.rebuild_windows
    where requested_at < :before
)

delete from iris.rebuilt_windows
where rebuilt_at < :before;

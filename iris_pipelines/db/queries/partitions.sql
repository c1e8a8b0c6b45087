-- name: partitioned_days(days)
-- Those of the days that have a partition of their own.
select days.day
from unnest(:days::date[]) as days (day)
where to_regclass('iris_partitions.analytics_events_' || to_char(days.day, 'YYYY_MM_DD')) is not null;

-- name: days_in_default_partition()
-- Days whose events wait in the default partition.
select distinct date(events.timestamp at time zone 'UTC')
from iris_partitions.analytics_events_default as events;

-- name: wait_briefly_for_locks()$
-- For this transaction.
select set_config('lock_timeout', '100ms', true);

-- name: create_event_partitions(days)
-- Makes the partitions of these days and moves what the default partition holds of them.
select iris.create_event_partition(days.day)
from unnest(:days::date[]) as days (day);

-- name: spacious_primary_keys(before)
-- Primary keys of days before this one that take much more room than they need: an entry has 52 bytes, and a page that
-- is written in order is nine tenths full. Small ones are not worth it, and one that is being built is left alone.
with keys as (
    select
        to_date(right(events.relname, 10), 'YYYY_MM_DD') as day,
        keys.relname as name,
        pg_relation_size(keys.oid) as size,
        events.reltuples * 52 / 0.9 as needed
    from pg_index
    inner join pg_class as keys on pg_index.indexrelid = keys.oid
    inner join pg_class as events on pg_index.indrelid = events.oid
    where
        events.relnamespace = 'iris_partitions'::regnamespace
        and events.relname ~ '^analytics_events_\d{4}_\d\d_\d\d$'
        and events.reltuples >= 0
        and pg_index.indisprimary
)

select
    keys.day,
    keys.name
from keys
where
    keys.day < :before
    and keys.size > 1 << 20
    and keys.size > 1.3 * keys.needed
order by keys.day;

-- name: unfinished_indexes()
-- What a rewrite that was broken off has left behind.
select indexes.relname
from pg_index
inner join pg_class as indexes on pg_index.indexrelid = indexes.oid
where
    indexes.relnamespace = 'iris_partitions'::regnamespace
    and indexes.relname ~ '_cc(new|old)\d*$'
    and not pg_index.indisvalid
    and not exists (
        select from pg_stat_progress_create_index as progress
        where progress.relid = pg_index.indrelid
    );

-- name: rewrite_index()#
reindex index concurrently {index};  -- noqa: PRS

-- name: drop_index()#
drop index concurrently if exists {index};  -- noqa: PRS

-- name: limit_lock_waits(milliseconds)$
-- From now on, in this session; 0 is no limit.
select set_config('lock_timeout', :milliseconds, false);

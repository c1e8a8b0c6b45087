-- name: lock_archive()$
-- One at a time archives, restores or erases, until the end of the transaction.
select pg_advisory_xact_lock(hashtext('iris.archived_days'));

-- name: event_columns()
-- The columns of the event log, in order, with their types.
select
    attribute.attname::text,
    format_type(attribute.atttypid, attribute.atttypmod)
from pg_attribute as attribute
where
    attribute.attrelid = 'iris.analytics_events'::regclass
    and attribute.attnum > 0
    and not attribute.attisdropped
    and attribute.attgenerated = ''
order by attribute.attnum;

-- name: retention_settings()
-- How many days of events tenants want kept, where they say so.
select
    tenant_id,
    setting_value
from iris.tenant_settings
where setting_key = 'retention_days'
order by tenant_id;

-- name: set_retention(tenant_id, days)!
insert into iris.tenant_settings (tenant_id, setting_key, setting_value)
values (:tenant_id, 'retention_days', :days)
on conflict (tenant_id, setting_key) do update set setting_value = excluded.setting_value;

-- name: unset_retention(tenant_id)!
delete from iris.tenant_settings
where
    tenant_id = :tenant_id
    and setting_key = 'retention_days';

-- name: days_of_tenants(before)
-- How many events tenants have on each UTC day before an instant.
select
    events.tenant_id,
    (events.timestamp at time zone 'UTC')::date as day,
    count(*) as events
from iris.analytics_events as events
where events.timestamp < :before
group by events.tenant_id, day
order by day, events.tenant_id;

-- name: tenants_of_day(window_start, window_end)
select distinct events.tenant_id
from iris.analytics_events as events
where
    events.timestamp >= :window_start
    and events.timestamp < :window_end;

-- name: watch_day(consumer)!
-- While a day is archived, what touches its events is noted for this consumer.
insert into iris.event_consumers (consumer, grain)
values (:consumer, 'hour')
on conflict (consumer) do nothing;

-- name: stop_watching(consumer)!
with gone as (
    delete from iris.event_consumers
    where consumer = :consumer
)

delete from iris.stale_hours
where consumer = :consumer;

-- name: copy_day_of_tenant()#
copy (
    select {columns}  -- noqa
    from {relation} as events  -- noqa
    where
        events.tenant_id = %(tenant_id)s  -- noqa
        and events.timestamp >= %(window_start)s  -- noqa
        and events.timestamp < %(window_end)s  -- noqa
    order by
        events.timestamp,
        events.id
) to stdout (format csv, force_quote *);  -- noqa

-- name: create_restored_events()#
create temporary table restored_events (like iris.analytics_events including defaults) on commit drop;

-- name: copy_restored_events()#
copy restored_events ({columns}) from stdin (format csv);  -- noqa: PRS

-- name: put_restored_events_back()#
-- Into the partition, past the trigger that notes what was touched: what was built from these events stands as it was.
insert into iris_partitions.{partition} ({columns})
select {columns}
from restored_events
on conflict (tenant_id, timestamp, id) do nothing;  -- noqa: PRS

-- name: archived_day(tenant_id, day)^
select
    url,
    version,
    restored_at
from iris.archived_days
where
    tenant_id = :tenant_id
    and date = :day;

-- name: sealed_days(window_start, window_end)
-- Tenants' days that lie in the archive only, within a window.
select
    archived.tenant_id,
    archived.date,
    archived.url,
    archived.version,
    archived.row_count,
    archived.bytes,
    archived.sha256,
    archived.content_sha256
from iris.archived_days as archived
where
    archived.restored_at is null
    and archived.date >= (:window_start::timestamptz at time zone 'UTC')::date
    and archived.date < (:window_end::timestamptz at time zone 'UTC')
order by
    archived.date,
    archived.tenant_id;

-- name: archived_days_of_tenant(tenant_id)
select
    date,
    url,
    version,
    row_count,
    bytes,
    sha256,
    content_sha256,
    restored_at
from iris.archived_days
where tenant_id = :tenant_id
order by date;

-- name: recently_restored_days(since)
select
    tenant_id,
    date
from iris.archived_days
where restored_at >= :since;

-- name: has_sealed_days(window_start, window_end)$
select exists(
    select
    from iris.archived_days as archived
    where
        archived.restored_at is null
        and archived.date >= (:window_start::timestamptz at time zone 'UTC')::date
        and archived.date < (:window_end::timestamptz at time zone 'UTC')
);

-- name: stale_sealed_days()
-- Days that lie in the archive only, and that got events since, or were never judged: who judges them must see all of
-- them. What was noted before, a rebuild restores by itself.
select distinct archived.date
from iris.archived_days as archived
inner join iris.stale_hours as stale
    on archived.date = (stale.hour at time zone 'UTC')::date
inner join iris.event_consumers as consumers on stale.consumer = consumers.consumer
where
    archived.restored_at is null
    and 'iris.analytics_events' = any(consumers.inputs)
    and not starts_with(consumers.consumer, 'exports.')
    and not starts_with(consumers.consumer, 'archive of ')
    and (stale.noted_at >= archived.archived_at or consumers.consumer = 'iris.machine_verdicts')
order by archived.date;

-- name: lock_events_of_day(day)$
-- Nobody builds a window of this day meanwhile, or loads events of it: see iris.hold_events and hold_days.
select
    pg_advisory_xact_lock(hashtext('iris.sealed_days'), :day::date - date '1970-01-01'),
    pg_advisory_xact_lock(hashtext('iris.loaded_days'), mod(:day::date - date '1970-01-01', 64));

-- name: wait_at_most(milliseconds)$
-- For locks, in this transaction.
select set_config('lock_timeout', :milliseconds, true);

-- name: lock_partition_to_drop()#
-- The parent first, as writers do.
lock table only iris.analytics_events in access exclusive mode;
lock table iris_partitions.{partition} in access exclusive mode;

-- name: lock_partition_to_delete()#
lock table iris_partitions.{partition} in share row exclusive mode;

-- name: drop_partition()#
drop table iris_partitions.{partition};

-- name: delete_from_partition()#
delete from iris_partitions.{partition}
where tenant_id = any(%(tenant_ids)s);  -- noqa: PRS

-- name: seal_archived_day<!
-- From now on, these events lie in the archive only; says in which version.
insert into iris.archived_days as known (
    tenant_id,
    date,
    url,
    version,
    row_count,
    bytes,
    sha256,
    content_sha256,
    min_timestamp,
    max_timestamp,
    total_cost,
    total_duration_ms,
    hours
)
values (
    :tenant_id,
    :day,
    :url,
    :version,
    :row_count,
    :bytes,
    :sha256,
    :content_sha256,
    :min_timestamp,
    :max_timestamp,
    :total_cost,
    :total_duration_ms,
    :hours
)
on conflict (tenant_id, date) do update
    set
        url = excluded.url,
        version = excluded.version,
        row_count = excluded.row_count,
        bytes = excluded.bytes,
        sha256 = excluded.sha256,
        content_sha256 = excluded.content_sha256,
        min_timestamp = excluded.min_timestamp,
        max_timestamp = excluded.max_timestamp,
        total_cost = excluded.total_cost,
        total_duration_ms = excluded.total_duration_ms,
        hours = excluded.hours,
        archived_at = clock_timestamp(),
        restored_at = null
returning version;

-- name: note_restored_day(tenant_id, day)!
update iris.archived_days
set restored_at = clock_timestamp()
where
    tenant_id = :tenant_id
    and date = :day;

-- name: replace_archived_file<!
-- The same day with other content: erased events. Says in which version.
update iris.archived_days
set
    url = :url,
    version = :version,
    bytes = :bytes,
    sha256 = :sha256,
    content_sha256 = :content_sha256
where
    tenant_id = :tenant_id
    and date = :day
returning version;

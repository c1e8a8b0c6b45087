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

-- name: partition_days()
-- The days that have a partition of their own.
select to_date(substr(class.relname, length('analytics_events_') + 1), 'YYYY_MM_DD')
from pg_catalog.pg_inherits as inherits
inner join pg_catalog.pg_class as class on inherits.inhrelid = class.oid
where
    inherits.inhparent = 'iris.analytics_events'::regclass
    and class.relname ~ '^analytics_events_\d{4}_\d{2}_\d{2}$';

-- name: days_in_default_partition()
-- Days whose events wait in the default partition.
select distinct date(events.timestamp at time zone 'UTC')
from iris_partitions.analytics_events_default as events;

-- name: wait_briefly_for_locks()
-- For this transaction.
select set_config('lock_timeout', '100ms', true);

-- name: create_event_partition(day)$
-- Makes the partition of a day and moves the default partition's events of that day into it.
select iris.create_event_partition(:day);

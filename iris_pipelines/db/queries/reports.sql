-- name: built_report_sources(names)
-- The relations that are built and kept up to date.
select consumers.consumer
from iris.event_consumers as consumers
where consumers.consumer = any(:names::text[]) and to_regclass(consumers.consumer) is not null;

-- name: stale_report_hours(names, range_start, range_end)
-- The hours that relations do not have right: handed out to them, or still in the ledger.
select
    stale.consumer,
    stale.hour
from iris.stale_hours as stale
where stale.consumer = any(:names::text[]) and stale.hour >= :range_start and stale.hour < :range_end
union
select
    consumers.consumer,
    touched.hour
from iris.touched_hours as touched
cross join unnest(:names::text[]) as consumers (consumer)
where
    touched.hour >= :range_start
    and touched.hour < :range_end
    and touched.noted_by is distinct from consumers.consumer;

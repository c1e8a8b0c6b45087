-- name: lock_export(consumer, day)$
-- One at a time exports a day to a place, until the end of the transaction.
select pg_advisory_xact_lock(hashtext(:consumer), :day::date - date '2000-01-01');

-- name: hold_events(starts)$
-- The events of a day stay in the event log until the end of the transaction; an error if they are archived.
select iris.hold_events(:starts);

-- name: exported_events(window_start, window_end)
-- What an export holds of each event, in this order. Two tenants may have an event of the same id at the same time.
select
    events.id,
    events.tenant_id,
    events.event_type,
    events.timestamp,
    events.message_id,
    events.campaign_id,
    events.contact_id,
    events.channel,
    events.provider,
    events.event_data,
    events.cost,
    events.duration_ms,
    events.success
from iris.analytics_events as events
where
    events.timestamp >= :window_start
    and events.timestamp < :window_end
order by
    events.timestamp,
    events.id,
    events.tenant_id;

-- name: copy_as_json()#
-- One JSON object a row. As text, COPY would double the backslashes of JSON; as CSV with a quote and a delimiter that
-- JSON cannot contain, it leaves the rows as they are.
copy (
    select row_to_json(selected)
    from (  -- noqa
        {selection}  -- noqa
    ) as selected
) to stdout (format csv, quote e'\x01', delimiter e'\x02');  -- noqa

-- name: copy_as_csv()#
copy (  -- noqa
    {selection}  -- noqa
) to stdout (format csv);  -- noqa

-- name: exported_day(export, destination, day)^
select
    url,
    version,
    row_count,
    bytes,
    sha256,
    content_sha256,
    min_timestamp,
    max_timestamp
from iris.export_manifest
where
    export = :export
    and destination = :destination
    and date = :day;

-- name: note_exported_day<!
-- Says which version it is: one more if the content is another than before.
insert into iris.export_manifest as known (
    export,
    destination,
    date,
    url,
    version,
    row_count,
    bytes,
    sha256,
    content_sha256,
    min_timestamp,
    max_timestamp
)
values (
    :export,
    :destination,
    :day,
    :url,
    1,
    :row_count,
    :bytes,
    :sha256,
    :content_sha256,
    :min_timestamp,
    :max_timestamp
)
on conflict (export, destination, date) do update
    set
        url = excluded.url,
        version = known.version + (known.content_sha256 <> excluded.content_sha256)::integer,
        row_count = excluded.row_count,
        bytes = excluded.bytes,
        sha256 = excluded.sha256,
        content_sha256 = excluded.content_sha256,
        min_timestamp = excluded.min_timestamp,
        max_timestamp = excluded.max_timestamp,
        exported_at = clock_timestamp()
returning version;

-- name: exported_dates(export, destination)
select date
from iris.export_manifest
where
    export = :export
    and destination = :destination
order by date;

-- name: exports_of_dates(dates)
-- Where days were exported to, whatever the present settings say.
select
    export,
    destination,
    date,
    url
from iris.export_manifest
where date = any(:dates)
order by
    destination,
    export,
    date;

-- name: forget_other_destinations(export_prefix, consumer)!
-- Places that are exported to no more: their stale hours would pile up. Should one come back, all of it is stale.
with gone as (
    delete from iris.event_consumers
    where
        starts_with(consumer, :export_prefix)
        and consumer <> :consumer
    returning consumer
)

delete from iris.stale_hours
using gone
where stale_hours.consumer = gone.consumer;

-- name: has_stale_hours(consumer, window_start, window_end)$
-- Whether events of a window changed since this consumer last took note of them.
select exists(
    select
    from iris.stale_hours
    where
        consumer = :consumer
        and hour >= :window_start
        and hour < :window_end
    union all
    select
    from iris.touched_hours
    where
        hour >= :window_start
        and hour < :window_end
);

-- name: warehouse_facts(window_start, window_end)^
-- How many events there are, how many carry data, and a checksum of the rest, which BigQuery computes in the same way.
select
    count(*),
    count(events.event_data),
    coalesce(
        sum(
            (
                'x' || left(
                    md5(
                        concat_ws(
                            '|',
                            events.id,
                            events.tenant_id,
                            events.event_type,
                            (extract(epoch from events.timestamp) * 1000000)::bigint,
                            coalesce(events.message_id::text, ''),
                            coalesce(events.campaign_id::text, ''),
                            coalesce(events.contact_id::text, ''),
                            coalesce(events.channel, ''),
                            coalesce(events.provider, ''),
                            coalesce((events.cost * 1000000)::bigint::text, ''),
                            coalesce(events.duration_ms::text, ''),
                            coalesce(events.success::text, '')
                        )
                    ),
                    8
                )
            )::bit(32)::bigint
        ),
        0
    )::bigint
from iris.analytics_events as events
where
    events.timestamp >= :window_start
    and events.timestamp < :window_end;

-- name: mart_columns()
-- The marts and their columns, with their types.
select
    relations.relname::text,
    attribute.attname::text,
    format_type(attribute.atttypid, attribute.atttypmod)
from pg_class as relations
inner join pg_attribute as attribute on relations.oid = attribute.attrelid
where
    relations.relnamespace = 'analytics'::regnamespace
    and relations.relkind in ('r', 'v', 'm', 'p')
    and attribute.attnum > 0
    and not attribute.attisdropped
order by
    relations.relname,
    attribute.attnum;

-- name: exported_mart()#
select {columns}  -- noqa
from {mart}  -- noqa

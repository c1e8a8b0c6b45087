-- name: create_load_tables()#
-- Where events wait to be stored, and where the stored ones that have effects are kept: emptied at each commit.
create temporary table if not exists incoming_events (
    id uuid not null,
    tenant_id uuid not null,
    event_type text collate "C" not null,
    timestamp timestamptz not null,
    message_id uuid,
    campaign_id uuid,
    contact_id uuid,
    channel text collate "C",
    provider text collate "C",
    event_data jsonb,
    ip_address inet,
    user_agent text,
    geo_location jsonb,
    cost numeric(10, 6),
    duration_ms bigint,
    success boolean not null,
    error_code text,
    error_message text,
    is_machine boolean not null,
    machine_reason text collate "C"
) on commit delete rows;

create temporary table if not exists stored_events (
    tenant_id uuid not null,
    event_type text collate "C" not null,
    timestamp timestamptz not null,
    message_id uuid,
    contact_id uuid,
    channel text collate "C",
    event_data jsonb,
    error_code text,
    error_message text
) on commit delete rows;

create temporary table if not exists incoming_keys (
    tenant_id uuid not null,
    timestamp timestamptz not null,
    id uuid not null,
    position integer not null
) on commit delete rows;

-- name: empty_load_tables()#
-- Between two batches of one transaction.
truncate incoming_events, stored_events;

-- name: copy_incoming_events()#
copy incoming_events from stdin (format binary);  -- noqa: PRS

-- name: copy_event_partition()#
-- Into one day's partition, past the trigger that notes what was touched: `note_touched_hours` must follow.
copy iris_partitions.{partition} (
    id,
    tenant_id,
    event_type,
    timestamp,
    message_id,
    campaign_id,
    contact_id,
    channel,
    provider,
    event_data,
    ip_address,
    user_agent,
    geo_location,
    cost,
    duration_ms,
    success,
    error_code,
    error_message,
    is_machine,
    machine_reason
) from stdin (format binary);  -- noqa: PRS

-- name: note_touched_hours(hours)!
insert into iris.touched_hours (hour)
select hours.hour
from unnest(:hours::timestamptz[]) as hours (hour);

-- name: empty_incoming_keys()#
truncate incoming_keys;

-- name: copy_incoming_keys()#
copy incoming_keys from stdin (format binary);  -- noqa: PRS

-- name: stored_keys(from_time, until_time)$
-- The positions of the incoming keys that the event log has, four bytes each. The subquery looks each key up in the
-- primary key of its partition, whatever the planner thinks of a table without statistics.
select string_agg(int4send(incoming.position), '')
from incoming_keys as incoming
where
    incoming.timestamp >= :from_time
    and incoming.timestamp < :until_time
    and exists(
        select 1
        from iris.analytics_events as events
        where
            events.timestamp >= :from_time
            and events.timestamp < :until_time
            and events.tenant_id = incoming.tenant_id
            and events.timestamp = incoming.timestamp
            and events.id = incoming.id
        offset 0
    );

-- name: has_messages(tenant_ids)$
-- Whether the platform has handed over messages of these tenants, which events may refer to.
select exists(
    select
    from iris.messages as messages
    where messages.tenant_id = any(:tenant_ids)
);

-- name: store_incoming_events(types_with_effects)$
-- Moves the incoming events to the event log and says how many were new; keeps those that have effects.
-- What an event does not say about its message, the message says.
with stored as (
    insert into iris.analytics_events (
        id,
        tenant_id,
        event_type,
        timestamp,
        message_id,
        campaign_id,
        contact_id,
        channel,
        provider,
        event_data,
        ip_address,
        user_agent,
        geo_location,
        cost,
        duration_ms,
        success,
        error_code,
        error_message,
        is_machine,
        machine_reason
    )
    select
        incoming.id,
        incoming.tenant_id,
        incoming.event_type,
        incoming.timestamp,
        incoming.message_id,
        coalesce(incoming.campaign_id, messages.campaign_id),
        coalesce(incoming.contact_id, messages.to_contact_id),
        coalesce(incoming.channel, nullif(lower(messages.channel), '')),
        coalesce(incoming.provider, nullif(lower(messages.provider), '')),
        incoming.event_data,
        incoming.ip_address,
        incoming.user_agent,
        incoming.geo_location,
        incoming.cost,
        incoming.duration_ms,
        incoming.success,
        incoming.error_code,
        incoming.error_message,
        incoming.is_machine,
        incoming.machine_reason
    from incoming_events as incoming
    left join iris.messages as messages
        on
            incoming.tenant_id = messages.tenant_id
            and incoming.message_id = messages.id
    on conflict (tenant_id, timestamp, id) do nothing
    returning
        tenant_id,
        event_type,
        timestamp,
        message_id,
        contact_id,
        channel,
        event_data,
        error_code,
        error_message
),

kept as (
    insert into stored_events
    select stored.*
    from stored
    where stored.event_type = any(:types_with_effects)
)

select count(*) from stored;

-- name: known_tenants(ids)
-- Those of the tenants that exist.
select id
from iris.tenants
where id = any(:ids);

-- name: create_tenants(ids)!
-- Makes tenants that only their events speak of; the id is all that is known of them.
insert into iris.tenants (id, name)
select
    ids.id,
    ids.id::text
from unnest(:ids::uuid[]) as ids (id)
order by ids.id
on conflict (id) do nothing;

-- name: join_bulk_loads()$
-- Until the end of the transaction. A load that had to give way to another waits for all bulk loads, and they for it.
select pg_advisory_xact_lock_shared(hashtext('iris.bulk_loads'));

-- name: wait_until_no_bulk_load()$
select pg_advisory_xact_lock(hashtext('iris.bulk_loads'));

-- name: hold_days(days)
-- Nobody takes these days out of the event log until the transaction has ended: see lock_events_of_day. A load may have
-- thousands of days, and the server has room for some thousand locks: days share them.
select pg_advisory_xact_lock_shared(hashtext('iris.loaded_days'), slots.slot)
from (
    select distinct mod(days.day - date '1970-01-01', 64) as slot
    from unnest(:days::date[]) as days (day)
) as slots;

-- name: archived_among(days)
-- Those of the days that lie in the archive, all of them or a tenant's part.
select distinct archived.date
from iris.archived_days as archived
where
    archived.restored_at is null
    and archived.date = any(:days);

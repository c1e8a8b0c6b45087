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
    event_data text,
    ip_address text,
    user_agent text,
    geo_location text,
    cost numeric(10, 6),
    duration_ms bigint,
    success boolean not null,
    error_code text,
    error_message text,
    is_machine boolean not null
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

-- name: empty_load_tables()#
-- Between two batches of one transaction.
truncate incoming_events, stored_events;

-- name: copy_incoming_events()#
copy incoming_events from stdin (format binary);

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
        is_machine
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
        incoming.event_data::jsonb,
        incoming.ip_address::inet,
        incoming.user_agent,
        incoming.geo_location::jsonb,
        incoming.cost,
        incoming.duration_ms,
        incoming.success,
        incoming.error_code,
        incoming.error_message,
        incoming.is_machine
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
from unnest(:ids::uuid []) as ids (id)
order by ids.id
on conflict (id) do nothing;

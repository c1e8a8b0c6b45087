-- What lies outside of this database: daily exports, archived days; and the record of who was erased everywhere.

create table iris.export_manifest (
    export text not null,
    destination text not null,
    date date not null,
    url text not null,
    version integer not null check (version > 0),
    row_count bigint not null,
    bytes bigint not null,
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    content_sha256 text not null check (content_sha256 ~ '^[0-9a-f]{64}$'),
    min_timestamp timestamptz,
    max_timestamp timestamptz,
    exported_at timestamptz not null default clock_timestamp(),
    primary key (export, destination, date)
);
comment on table iris.export_manifest is
'One row for each UTC day in each place that it was exported to, of all tenants together.';
comment on column iris.export_manifest.version is
'Counts how often the content of the day has changed: 1 for the first export, one more when late events changed it.';
comment on column iris.export_manifest.bytes is 'Size of the file as it is stored.';
comment on column iris.export_manifest.sha256 is 'Digest of the file as it is stored.';
comment on column iris.export_manifest.content_sha256 is
'Digest of the rows as the database wrote them, before compression: the state of the events it was made from.';

create table iris.archived_days (
    tenant_id uuid not null,
    date date not null,
    url text not null,
    version integer not null check (version > 0),
    row_count bigint not null,
    bytes bigint not null,
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    content_sha256 text not null check (content_sha256 ~ '^[0-9a-f]{64}$'),
    min_timestamp timestamptz not null,
    max_timestamp timestamptz not null,
    total_cost numeric,
    total_duration_ms numeric,
    hours timestamptz[] not null,
    archived_at timestamptz not null default clock_timestamp(),
    restored_at timestamptz,
    primary key (tenant_id, date)
);
comment on table iris.archived_days is
'Tenants'' days whose events lie in a Parquet file. '
'With restored_at null they lie nowhere else, and the day is sealed.';
comment on column iris.archived_days.content_sha256 is 'Digest of the canonical rows, by timestamp and id.';
comment on column iris.archived_days.hours is 'The hours that had events.';
comment on column iris.archived_days.restored_at is
'When the events went back to the event log; the file is replaced when the day is archived again.';

create table iris.erasures (
    erasure_id uuid primary key default gen_random_uuid(),
    tenant_id uuid not null,
    contact_id uuid,
    pseudonym uuid default gen_random_uuid(),
    addresses text[],
    days date[] not null default '{}',
    receipt jsonb not null default '{}',
    requested_at timestamptz not null default clock_timestamp(),
    completed_at timestamptz
);
create unique index open_erasures on iris.erasures (tenant_id, contact_id) where completed_at is null;
comment on table iris.erasures is
'Requests to erase a contact. Who it was, and which pseudonym it got, are forgotten when all is done.';
comment on column iris.erasures.addresses is 'What the contact was reached by, as long as it must be looked for.';
comment on column iris.erasures.days is 'UTC days with events of the contact: their exports are written anew.';
comment on column iris.erasures.receipt is 'What was touched, and how much of each.';

-- A text, such as what a mail server said, without addresses that it may hold.
create function iris.without_addresses(message text, addresses text[]) returns text
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp
as $$
declare
    address text;
begin
    foreach address in array coalesce(addresses, '{}') loop
        message := replace(replace(message, address, '[erased]'), lower(address), '[erased]');
    end loop;
    return message;
end
$$;

-- What an address was, without telling it: the same for the same tenant, channel and normalised address.
create function iris.address_digest(tenant_id uuid, channel text, address text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
return 'sha256:' || encode(
    sha256(
        convert_to(
            concat_ws(':', tenant_id, lower(trim(channel)), iris.normalised_address(channel, address)), 'UTF8'
        )
    ),
    'hex'
);
comment on function iris.address_digest(uuid, text, text) is
'What stands in iris.suppression_list for the address of an erased contact, who still must not be written to.';

-- Whoever builds a window from events calls this first, in the same transaction. Until it ends, nobody takes events of
-- this UTC day away; and if they lie in the archive, building would lose what was counted.
create function iris.hold_events(starts timestamptz) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    day constant date := (starts at time zone 'UTC')::date;
begin
    perform pg_advisory_xact_lock_shared(hashtext('iris.sealed_days'), day - date '1970-01-01');
    if exists (select from iris.archived_days where date = day and restored_at is null) then
        raise exception 'events of % are archived, and what was built from them is sealed', day
        using hint = format('run `iris restore --date %s` first', day), errcode = 'object_not_in_prerequisite_state';
    end if;
end
$$;
comment on function iris.hold_events(timestamptz) is
'Keeps the events of a day in the event log until the transaction ends; raises an error if they are archived.';

create index sealed_days on iris.archived_days (date) where restored_at is null;

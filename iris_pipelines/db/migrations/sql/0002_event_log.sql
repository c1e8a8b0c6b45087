-- The event log, one partition a day, and the ledger of the hours that any statement touched.

create schema iris_partitions;
revoke all on schema iris_partitions from public;
comment on schema iris_partitions is
'Daily partitions of iris.analytics_events. Write through the parent: only it notes what was touched.';

create table iris.analytics_events (
    id uuid not null default gen_random_uuid(),
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
    success boolean default true,
    error_code text,
    error_message text,
    received_at timestamptz not null default clock_timestamp(),
    is_machine boolean not null default false,
    primary key (tenant_id, timestamp, id)
) partition by range (timestamp);

-- Other services insert by plain SQL at any time: an event outside the prepared days must not be refused.
create table iris_partitions.analytics_events_default partition of iris.analytics_events default;

create table iris.touched_hours (
    hour timestamptz not null,
    noted_at timestamptz not null default clock_timestamp()
);
comment on table iris.touched_hours is
'Append-only ledger: an hour in which events were inserted, updated or deleted, once per statement. '
'No unique key, so that writers never wait for each other.';

create function iris.note_touched_hours() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into iris.touched_hours (hour)
    select distinct date_bin('1 hour', touched.timestamp, timestamptz '2000-01-01 00:00:00+00')
    from touched;
    return null;
end
$$;

create function iris.note_moved_hours() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into iris.touched_hours (hour)
    select date_bin('1 hour', before.timestamp, timestamptz '2000-01-01 00:00:00+00')
    from before
    union
    select date_bin('1 hour', after.timestamp, timestamptz '2000-01-01 00:00:00+00')
    from after;
    return null;
end
$$;

create function iris.note_all_hours() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into iris.touched_hours (hour)
    select distinct date_bin('1 hour', events.timestamp, timestamptz '2000-01-01 00:00:00+00')
    from iris.analytics_events as events;
    return null;
end
$$;

create trigger note_inserted after insert on iris.analytics_events
referencing new table as touched
for each statement execute function iris.note_touched_hours();

create trigger note_deleted after delete on iris.analytics_events
referencing old table as touched
for each statement execute function iris.note_touched_hours();

create trigger note_updated after update on iris.analytics_events
referencing old table as before new table as after
for each statement execute function iris.note_moved_hours();

create trigger note_truncated before truncate on iris.analytics_events
for each statement execute function iris.note_all_hours();

-- Makes the partition of one UTC day unless it is there, and moves into it what the default partition holds of
-- that day. Returns whether it made one. The caller sets lock_timeout: a busy default partition is no reason to wait.
create function iris.create_event_partition(day date) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    partition_name constant text := 'analytics_events_' || to_char(day, 'YYYY_MM_DD');
    lower_bound constant timestamptz := day::timestamp at time zone 'UTC';
    upper_bound constant timestamptz := (day + 1)::timestamp at time zone 'UTC';
begin
    if to_regclass('iris_partitions.' || partition_name) is not null then
        return false;
    end if;
    perform pg_advisory_xact_lock(hashtext('iris.create_event_partition'));
    -- Not to_regclass: its cache may still say what was true before the wait for the lock.
    if exists (
        select from pg_class
        where relnamespace = 'iris_partitions'::regnamespace and relname = partition_name
    ) then
        return false;
    end if;
    execute format(
        'create table iris_partitions.%I (like iris.analytics_events including defaults including indexes)',
        partition_name
    );
    lock table iris_partitions.analytics_events_default in access exclusive mode;
    execute format(
        'with moved as (
            delete from iris_partitions.analytics_events_default
            where timestamp >= %1$L and timestamp < %2$L
            returning *
        )
        insert into iris_partitions.%3$I select * from moved',
        lower_bound, upper_bound, partition_name
    );
    execute format(
        'alter table iris.analytics_events attach partition iris_partitions.%I for values from (%L) to (%L)',
        partition_name, lower_bound, upper_bound
    );
    return true;
end
$$;

create table iris.rejected_events (
    id bigint generated always as identity primary key,
    tenant_id uuid,
    source text not null,
    line bigint,
    reason text not null,
    detail text not null,
    payload text not null,
    rejected_at timestamptz not null default clock_timestamp(),
    replayed_at timestamptz
);

-- Loading a file again must not pile up what it rejected before.
create unique index open_rejected_events on iris.rejected_events (md5(payload), line, md5(source))
nulls not distinct where replayed_at is null;

create table iris.ingested_files (
    sha256 text primary key check (sha256 ~ '^[0-9a-f]{64}$'),
    source text not null,
    bytes bigint not null,
    received bigint not null,
    accepted bigint not null,
    duplicates bigint not null,
    rejected bigint not null,
    seconds numeric(12, 3) not null,
    ingested_at timestamptz not null default clock_timestamp(),
    check (accepted + duplicates + rejected = received)
);
comment on table iris.ingested_files is
'One row a file, by content, written in the transaction that stored its events.';

create table iris.read_files (
    name text primary key,
    size bigint not null,
    modified_at timestamptz,
    sha256 text,
    problem text,
    read_at timestamptz not null default clock_timestamp()
);
comment on table iris.read_files is
'How each file looked when it was last read, so that an unchanged one in a landing zone is not read at every look.';

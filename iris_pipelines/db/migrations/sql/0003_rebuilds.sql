-- Who builds on the event log, which of their hours are stale, and the windows that a run replaces.

create table iris.event_consumers (
    consumer text primary key,
    grain text not null check (grain in ('hour', 'day')),
    registered_at timestamptz not null default clock_timestamp()
);
comment on table iris.event_consumers is
'Relations built from the event log; each gets its own stale hours from iris.touched_hours.';

create table iris.stale_hours (
    consumer text not null,
    hour timestamptz not null,
    noted_at timestamptz not null default clock_timestamp()
);
comment on table iris.stale_hours is
'Hours that a consumer must rebuild. '
'Deleted in the transaction that replaces the window, so that one that fails loses nothing.';

create index stale_hours_by_consumer on iris.stale_hours (consumer, hour);

create table iris.rebuild_windows (
    rebuild_id uuid not null,
    window_start timestamptz not null,
    window_end timestamptz not null,
    requested_by text,
    requested_at timestamptz not null default clock_timestamp(),
    primary key (rebuild_id, window_start),
    check (window_start < window_end)
);
create index rebuild_windows_by_run on iris.rebuild_windows (requested_by);
comment on column iris.rebuild_windows.requested_by is 'The id of the Dagster run, if one asked for it.';
comment on table iris.rebuild_windows is
'What one run is to replace: any set of windows, each within one UTC day.';

create table iris.rebuilt_windows (
    rebuild_id uuid not null,
    relation text not null,
    window_start timestamptz not null,
    window_end timestamptz not null,
    row_count bigint not null,
    rebuilt_at timestamptz not null default clock_timestamp(),
    primary key (rebuild_id, relation, window_start)
);
comment on table iris.rebuilt_windows is
'What a run did replace, written in the transaction that replaced it.';

create table iris.built_views (
    relation text primary key,
    checksum text not null,
    built_at timestamptz not null default clock_timestamp()
);
comment on table iris.built_views is
'Views that dbt made, with the checksum of the file they were made from: they are made anew only when that changes.';

create table iris.system_alerts (
    id uuid primary key default gen_random_uuid(),
    tenant_id uuid references iris.tenants on delete cascade,
    alert_type text not null,
    severity text not null check (severity in ('info', 'warning', 'critical')),
    message text not null,
    data jsonb not null default '{}',
    created_at timestamptz not null default clock_timestamp()
);
comment on table iris.system_alerts is
'What somebody should know. tenant_id is null where it concerns the pipelines themselves.';

create unique index system_alerts_once_a_run on iris.system_alerts ((data ->> 'run_id'))
where alert_type = 'run_failure';

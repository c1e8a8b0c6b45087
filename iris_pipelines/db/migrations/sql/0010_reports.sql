-- Recurring reports: what is due, what was made of it, and whom it reached.

create table iris.scheduled_reports (
    id uuid primary key default gen_random_uuid(),
    tenant_id uuid not null references iris.tenants on delete cascade,
    name text not null,
    definition jsonb not null,
    schedule text not null check (schedule in ('daily', 'weekly', 'monthly')),
    weekday smallint check (weekday between 0 and 6),
    month_day smallint check (month_day between 1 and 31),
    local_time time(0) not null default '08:00',
    recipients jsonb not null default '[]' check (jsonb_typeof(recipients) = 'array'),
    deadline_minutes integer not null default 120 check (deadline_minutes >= 0),
    is_active boolean not null default true,
    planned_until date not null default (current_timestamp at time zone 'UTC')::date,
    created_at timestamptz not null default clock_timestamp(),
    check (weekday is null or schedule = 'weekly'),
    check (month_day is null or schedule = 'monthly')
);
comment on table iris.scheduled_reports is
'Reports made again and again. Definitions have relative date ranges, resolved against each occurrence.';
comment on column iris.scheduled_reports.weekday is '0 is Monday; a weekly report without one is due on Mondays.';
comment on column iris.scheduled_reports.month_day is '31 is the last day; shorter months end earlier. '
'A monthly report without one is due on the 1st.';
comment on column iris.scheduled_reports.deadline_minutes is
'How long an occurrence waits for its period to be complete; after that it goes out with a note.';
comment on column iris.scheduled_reports.planned_until is
'The local day up to which occurrences have been planned.';

create index scheduled_reports_by_tenant on iris.scheduled_reports (tenant_id);

create table iris.report_occurrences (
    scheduled_report_id uuid not null references iris.scheduled_reports on delete cascade,
    occurrence_date date not null,
    occurs_at timestamptz not null,
    status text not null default 'due' check (status in ('due', 'done', 'failed', 'cancelled')),
    attempts integer not null default 0,
    claimed_until timestamptz,
    next_attempt_at timestamptz not null,
    planned_at timestamptz not null,
    note text,
    primary key (scheduled_report_id, occurrence_date)
);
comment on table iris.report_occurrences is
'Each time that a report is due, once: its name is the local day, which no change of clocks can double.';

create index due_report_occurrences on iris.report_occurrences (scheduled_report_id, occurrence_date)
where status = 'due';

create table iris.report_runs (
    id uuid primary key default gen_random_uuid(),
    tenant_id uuid not null references iris.tenants on delete cascade,
    scheduled_report_id uuid references iris.scheduled_reports on delete set null,
    occurrence_date date,
    name text not null,
    definition jsonb not null,
    format text not null,
    status text not null default 'running' check (status in ('running', 'succeeded', 'failed')),
    started_at timestamptz not null,
    finished_at timestamptz,
    period_start timestamptz,
    period_end timestamptz,
    row_count bigint,
    is_truncated boolean,
    notes jsonb not null default '[]',
    file_name text,
    file_bytes bigint,
    sha256 text,
    error text
);
comment on table iris.report_runs is 'Every making of a report, on demand or for an occurrence, with its file.';

create index report_runs_by_tenant on iris.report_runs (tenant_id, started_at desc);
-- One that succeeded is the one that is sent.
create unique index report_runs_once_an_occurrence on iris.report_runs (scheduled_report_id, occurrence_date)
where status = 'succeeded' and scheduled_report_id is not null;

create table iris.report_files (
    run_id uuid primary key references iris.report_runs on delete cascade,
    media_type text not null,
    content bytea not null
);
comment on table iris.report_files is
'The files of recurring reports, in the database, so that any machine can send them.';
alter table iris.report_files alter column content set storage external;

create table iris.report_deliveries (
    run_id uuid not null references iris.report_runs on delete cascade,
    recipient text not null,
    status text not null default 'waiting' check (status in ('waiting', 'sent', 'failed', 'unsubscribed')),
    attempts integer not null default 0,
    next_attempt_at timestamptz not null,
    delivered_at timestamptz,
    error text,
    primary key (run_id, recipient)
);
comment on table iris.report_deliveries is
'One row a run and recipient: each gets a mail of their own, so that none sees the others.';

create index waiting_report_deliveries on iris.report_deliveries (next_attempt_at) where status = 'waiting';

create table iris.report_unsubscriptions (
    scheduled_report_id uuid not null references iris.scheduled_reports on delete cascade,
    recipient text not null,
    token text not null unique default replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''),
    unsubscribed_at timestamptz,
    primary key (scheduled_report_id, recipient)
);
comment on table iris.report_unsubscriptions is
'The secret in the link with which a recipient leaves a report, and when they did.';

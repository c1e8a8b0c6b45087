-- Alerts: the rules of tenants, one row for each incident, and an outbox of what somebody is to be told.

create table iris.alert_rules (
    tenant_id uuid not null references iris.tenants on delete cascade,
    id uuid not null default gen_random_uuid(),
    name text not null,
    condition jsonb not null,
    actions jsonb not null default '[]',
    enabled boolean not null default true,
    severity text not null default 'warning' check (severity in ('info', 'warning', 'critical')),
    quiet_hours jsonb,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
);
comment on table iris.alert_rules is
'What a tenant wants to be told of. Condition, actions and quiet hours are checked by who reads them, '
'so a row that says nonsense is reported as broken and stops no other.';
comment on column iris.alert_rules.quiet_hours is
'{"start": "22:00", "end": "07:00"} in the time zone of the tenant: nobody is told anything between them.';

create table iris.alert_rule_states (
    tenant_id uuid not null,
    rule_id uuid not null,
    state text not null check (state in ('ok', 'pending', 'firing', 'unknown', 'broken')),
    since timestamptz not null,
    value numeric,
    volume bigint,
    problem text,
    primary key (tenant_id, rule_id),
    foreign key (tenant_id, rule_id) references iris.alert_rules on delete cascade
);
comment on table iris.alert_rule_states is
'Where each rule stands, written when that changes: since when it has held, and what was measured then.';

alter table iris.system_alerts
add column status text not null default 'noted' check (status in ('noted', 'firing', 'resolved')),
add column incident_key text,
add column rule_id uuid,
add column actions jsonb not null default '[]',
add column cooldown_minutes integer not null default 60,
add column announced_at timestamptz,
add column last_told_at timestamptz,
add column reminders integer not null default 0,
add column resolved_at timestamptz;
comment on column iris.system_alerts.status is
'firing until it is resolved; noted is what happened once and cannot be resolved, such as a budget reached.';
comment on column iris.system_alerts.incident_key is
'What it is about: rule:<id>, budget:2026-11:75, delivery:sms. An incident that is open has one row.';
comment on column iris.system_alerts.actions is 'Whom to tell, as it was when the incident began.';
comment on column iris.system_alerts.announced_at is
'When its first message went to the outbox; null while it is silenced, or in quiet hours.';

create unique index system_alerts_open_incident on iris.system_alerts (tenant_id, incident_key)
where status = 'firing';
create unique index system_alerts_noted_once on iris.system_alerts (tenant_id, incident_key)
where status = 'noted' and incident_key is not null;
create index system_alerts_by_tenant on iris.system_alerts (tenant_id, created_at desc);

create table iris.alert_silences (
    tenant_id uuid not null references iris.tenants on delete cascade,
    id uuid not null default gen_random_uuid(),
    rule_id uuid,
    alert_type text,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    reason text not null default '',
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    check (starts_at < ends_at)
);
comment on table iris.alert_silences is
'Nobody is told of what begins or lasts between these instants; of the rule or the type given, else of anything.';

create table iris.alert_deliveries (
    id uuid primary key default gen_random_uuid(),
    tenant_id uuid references iris.tenants on delete cascade,
    alert_id uuid not null references iris.system_alerts on delete cascade,
    kind text not null check (kind in ('firing', 'reminder', 'resolved')),
    sequence integer not null default 0,
    action_type text not null,
    recipient text not null,
    content jsonb not null,
    status text not null default 'pending' check (status in ('pending', 'delivered', 'dead')),
    attempts integer not null default 0,
    due_at timestamptz not null,
    claimed_until timestamptz,
    delivered_at timestamptz,
    reference text,
    last_error text,
    created_at timestamptz not null default clock_timestamp(),
    unique (alert_id, kind, sequence, action_type, recipient)
);
comment on table iris.alert_deliveries is
'The outbox: one row a message, written in the transaction that opened, reminded of or resolved the incident. '
'Its id is the idempotency key that receivers get.';
comment on column iris.alert_deliveries.status is
'dead: given up after too many attempts, or because the receiver can never take it; last_error says which.';

create index alert_deliveries_pending on iris.alert_deliveries (due_at) where status = 'pending';
create index alert_deliveries_by_alert on iris.alert_deliveries (alert_id);

create table iris.alert_delivery_attempts (
    delivery_id uuid not null references iris.alert_deliveries on delete cascade,
    attempt integer not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    outcome text check (outcome in ('delivered', 'retry', 'dead')),
    detail text,
    primary key (delivery_id, attempt)
);
comment on table iris.alert_delivery_attempts is
'Every attempt, noted before it is made: one without an outcome was cut off, and is made again.';

create table iris.send_cohorts (
    tenant_id uuid not null,
    slot timestamptz not null,
    channel text collate "C" not null,
    sent bigint not null check (sent > 0),
    delivered bigint not null check (delivered between 0 and sent),
    primary key (tenant_id, slot, channel)
);
comment on table iris.send_cohorts is
'Messages sent within a quarter of an hour, and how many of them were delivered within the next: by message, so that '
'a rate never exceeds 100 and is final a quarter of an hour after the slot.';
create index send_cohorts_by_slot on iris.send_cohorts (slot);

create table iris.counted_cohort_slots (
    slot timestamptz primary key,
    counted_at timestamptz not null default clock_timestamp()
);
comment on table iris.counted_cohort_slots is 'Slots that iris.send_cohorts is complete for, also empty ones.';

create table iris.delivery_baselines (
    tenant_id uuid not null,
    day date not null,
    channel text collate "C" not null,
    rates double precision[] not null check (array_length(rates, 1) = 168),
    weights double precision[] not null check (array_length(weights, 1) = 168),
    volumes double precision[] not null check (array_length(volumes, 1) = 168),
    hourly_correlation double precision not null,
    long_correlation double precision not null,
    longest_silence double precision not null,
    sent bigint not null,
    primary key (tenant_id, day, channel)
);
comment on table iris.delivery_baselines is
'What was normal in the 28 days up to and including a day, for each hour of the week from Monday 00:00 UTC: the share '
'delivered in time, how many messages that is known from, and how many are sent in a quarter of an hour.';
create index delivery_baselines_by_day on iris.delivery_baselines (day);

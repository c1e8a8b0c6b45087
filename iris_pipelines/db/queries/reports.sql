-- name: built_report_sources(names, relations)
-- The consumers that are built and kept up to date, and whose rows can be read: each from a relation, which may be a view.
select consumers.consumer
from unnest(:names::text[], :relations::text[]) as sources (consumer, relation)
inner join iris.event_consumers as consumers on sources.consumer = consumers.consumer
where to_regclass(sources.relation) is not null;

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

-- name: report_tenant(tenant_id)^
-- Whose report it is, and how it looks: the settings report_colour (#rrggbb) and report_logo (an image in base64).
select
    tenants.name,
    tenants.timezone,
    tenants.currency,
    max(settings.setting_value) filter (where settings.setting_key = 'report_colour') as colour,
    max(settings.setting_value) filter (where settings.setting_key = 'report_logo') as logo
from iris.tenants as tenants
left join iris.tenant_settings as settings
    on
        tenants.id = settings.tenant_id
        and settings.setting_key in ('report_colour', 'report_logo')
where tenants.id = :tenant_id
group by tenants.id;

-- name: schedule_report(tenant_id, definition, schedule, weekday, month_day, at, recipients, minutes, planned_until)<!
insert into iris.scheduled_reports (
    tenant_id, name, definition, schedule, weekday, month_day, local_time, recipients, deadline_minutes, planned_until
)
values (
    :tenant_id, :definition::jsonb ->> 'name', :definition, :schedule, :weekday, :month_day, :at, :recipients, :minutes,
    :planned_until
)
returning id;

-- name: change_report(report_id, definition, schedule, weekday, month_day, at, recipients, minutes)!
update iris.scheduled_reports
set
    name = :definition::jsonb ->> 'name',
    definition = :definition,
    schedule = :schedule,
    weekday = :weekday,
    month_day = :month_day,
    local_time = :at,
    recipients = :recipients,
    deadline_minutes = :minutes
where id = :report_id;

-- name: scheduled_reports(tenant_id, report_ids)
-- Those of a tenant, if one is given, and those of some ids, if any are.
select
    id,
    tenant_id,
    definition,
    schedule,
    weekday,
    month_day,
    local_time,
    recipients,
    deadline_minutes,
    is_active,
    planned_until
from iris.scheduled_reports
where
    (:tenant_id::uuid is null or tenant_id = :tenant_id)
    and (:report_ids::uuid[] is null or id = any(:report_ids))
order by name, id;

-- name: lock_reports_to_plan()
-- Active reports; one that another planner is at work on is its business.
select id
from iris.scheduled_reports
where is_active
order by id
for update skip locked;

-- name: tenant_zones()
select
    id,
    timezone
from iris.tenants;

-- name: stop_report(tenant_id, report_id)<!
update iris.scheduled_reports
set is_active = false
where tenant_id = :tenant_id and id = :report_id and is_active
returning id;

-- name: put_report_aside(report_id)^
update iris.scheduled_reports
set is_active = false
where id = :report_id
returning
    tenant_id,
    name;

-- name: cancel_occurrences(report_id)!
update iris.report_occurrences
set status = 'cancelled'
where scheduled_report_id = :report_id and status = 'due';

-- name: plan_occurrence(report_id, occurrence_date, occurs_at, planned_at)*!
insert into iris.report_occurrences (scheduled_report_id, occurrence_date, occurs_at, next_attempt_at, planned_at)
values (:report_id, :occurrence_date, :occurs_at, :occurs_at, :planned_at)
on conflict (scheduled_report_id, occurrence_date) do nothing;

-- name: note_planned(report_id, planned_until)!
update iris.scheduled_reports
set planned_until = greatest(planned_until, :planned_until)
where id = :report_id;

-- name: claim_occurrence(schedules, now, claimed_until)^
-- The next report to make: of each, the earliest that is due, and nothing after it until that is done.
update iris.report_occurrences as occurrences
set claimed_until = :claimed_until, attempts = occurrences.attempts + 1
from (
    select
        due.scheduled_report_id,
        due.occurrence_date
    from iris.report_occurrences as due
    inner join iris.scheduled_reports as reports on due.scheduled_report_id = reports.id
    where
        due.status = 'due'
        and reports.is_active
        and reports.schedule = any(:schedules::text[])
        and due.next_attempt_at <= :now
        and (due.claimed_until is null or due.claimed_until <= :now)
        and not exists (
            select from iris.report_occurrences as earlier
            where
                earlier.scheduled_report_id = due.scheduled_report_id
                and earlier.status = 'due'
                and earlier.occurrence_date < due.occurrence_date
        )
    order by due.occurs_at, due.scheduled_report_id
    limit 1
    for update of due skip locked
) as next
where
    occurrences.scheduled_report_id = next.scheduled_report_id
    and occurrences.occurrence_date = next.occurrence_date
returning
    occurrences.scheduled_report_id,
    occurrences.occurrence_date,
    occurrences.occurs_at,
    occurrences.planned_at,
    occurrences.attempts;

-- name: due_cadences(now)
-- Cadences with a report that could be made now.
select distinct reports.schedule
from iris.report_occurrences as due
inner join iris.scheduled_reports as reports on due.scheduled_report_id = reports.id
where
    due.status = 'due'
    and reports.is_active
    and due.next_attempt_at <= :now
    and (due.claimed_until is null or due.claimed_until <= :now);

-- name: waiting_delivery_cadences(now)
-- Cadences with a mail that could be tried now.
select distinct reports.schedule
from iris.report_deliveries as deliveries
inner join iris.report_runs as runs on deliveries.run_id = runs.id
inner join iris.scheduled_reports as reports on runs.scheduled_report_id = reports.id
where deliveries.status = 'waiting' and deliveries.next_attempt_at <= :now;

-- name: postpone_occurrence(report_id, occurrence_date, next_attempt_at, is_attempt, note)!
update iris.report_occurrences
set
    claimed_until = null,
    next_attempt_at = :next_attempt_at,
    attempts = case when :is_attempt then attempts else attempts - 1 end,
    note = :note
where scheduled_report_id = :report_id and occurrence_date = :occurrence_date;

-- name: finish_occurrence(report_id, occurrence_date, status, note)!
update iris.report_occurrences
set status = :status, claimed_until = null, note = :note
where scheduled_report_id = :report_id and occurrence_date = :occurrence_date;

-- name: unfinished_report_hours(names, range_start, range_end)$
-- How many hours of a range are still to be rebuilt in any of the relations.
select count(*)
from (
    select stale.hour
    from iris.stale_hours as stale
    where stale.consumer = any(:names::text[]) and stale.hour >= :range_start and stale.hour < :range_end
    union
    select touched.hour
    from iris.touched_hours as touched
    where touched.hour >= :range_start and touched.hour < :range_end
) as hours;

-- name: start_report_run(tenant_id, report_id, occurrence_date, name, definition, format, started_at)<!
insert into iris.report_runs (
    tenant_id, scheduled_report_id, occurrence_date, name, definition, format, started_at
)
values (:tenant_id, :report_id, :occurrence_date, :name, :definition, :format, :started_at)
returning id;

-- name: fail_interrupted_runs(report_id, occurrence_date, finished_at)!
-- Whoever made these has died: the claim on their occurrence ran out.
update iris.report_runs
set status = 'failed', finished_at = :finished_at, error = 'interrupted'
where scheduled_report_id = :report_id and occurrence_date = :occurrence_date and status = 'running';

-- name: finish_report_run(run_id, now, starts, ends, rows, is_truncated, notes, file_name, bytes, sha256)!
update iris.report_runs
set
    status = 'succeeded',
    finished_at = :now,
    period_start = :starts,
    period_end = :ends,
    row_count = :rows,
    is_truncated = :is_truncated,
    notes = :notes,
    file_name = :file_name,
    file_bytes = :bytes,
    sha256 = :sha256
where id = :run_id;

-- name: fail_report_run(run_id, finished_at, error)!
update iris.report_runs
set status = 'failed', finished_at = :finished_at, error = :error
where id = :run_id;

-- name: store_report_file(run_id, media_type, content)!
insert into iris.report_files (run_id, media_type, content)
values (:run_id, :media_type, :content);

-- name: add_report_delivery(run_id, report_id, recipient, next_attempt_at)*!
-- Not for those who have left the report.
insert into iris.report_deliveries (run_id, recipient, next_attempt_at)
select
    :run_id,
    :recipient,
    :next_attempt_at
where not exists (
    select from iris.report_unsubscriptions as left_report
    where
        left_report.scheduled_report_id = :report_id
        and left_report.recipient = :recipient
        and left_report.unsubscribed_at is not null
);

-- name: claim_report_delivery(schedules, now)^
-- The next mail to send, with all that is needed for it; locked until it is sent.
select
    deliveries.run_id,
    deliveries.recipient,
    deliveries.attempts,
    runs.scheduled_report_id,
    runs.definition,
    runs.period_start,
    runs.period_end,
    runs.notes,
    runs.file_name,
    files.media_type,
    files.content,
    tenants.name,
    tenants.timezone
from iris.report_deliveries as deliveries
inner join iris.report_runs as runs on deliveries.run_id = runs.id
inner join iris.report_files as files on runs.id = files.run_id
inner join iris.scheduled_reports as reports on runs.scheduled_report_id = reports.id
inner join iris.tenants as tenants on runs.tenant_id = tenants.id
where
    deliveries.status = 'waiting'
    and deliveries.next_attempt_at <= :now
    and reports.schedule = any(:schedules::text[])
order by runs.occurrence_date, deliveries.run_id, deliveries.recipient
limit 1
for update of deliveries skip locked;

-- name: note_report_delivery(run_id, recipient, status, now, next_attempt_at, error)!
update iris.report_deliveries
set
    status = :status,
    attempts = attempts + 1,
    delivered_at = case when :status = 'sent' then :now::timestamptz end,
    next_attempt_at = :next_attempt_at,
    error = :error
where run_id = :run_id and recipient = :recipient;

-- name: unsubscription_token(report_id, recipient)$
-- The secret of a recipient's link, made when it is first needed; null for those who have left.
insert into iris.report_unsubscriptions as known (scheduled_report_id, recipient)
values (:report_id, :recipient)
on conflict (scheduled_report_id, recipient) do update set recipient = excluded.recipient
returning case when known.unsubscribed_at is null then known.token end;

-- name: unsubscribe_recipient(token, now)^
update iris.report_unsubscriptions as known
set unsubscribed_at = coalesce(known.unsubscribed_at, :now)
from iris.scheduled_reports as reports
where known.token = :token and reports.id = known.scheduled_report_id
returning
    known.scheduled_report_id,
    known.recipient,
    reports.name;

-- name: cancel_report_deliveries(report_id, recipient)!
update iris.report_deliveries as deliveries
set status = 'unsubscribed'
from iris.report_runs as runs
where
    deliveries.run_id = runs.id
    and runs.scheduled_report_id = :report_id
    and deliveries.recipient = :recipient
    and deliveries.status = 'waiting';

-- name: report_history(tenant_id, report_id, most)
select
    runs.id,
    runs.scheduled_report_id,
    runs.occurrence_date,
    runs.name,
    runs.format,
    runs.status,
    runs.started_at,
    runs.finished_at,
    runs.period_start,
    runs.period_end,
    runs.row_count,
    runs.file_name,
    runs.file_bytes,
    runs.sha256,
    runs.notes,
    runs.error,
    (
        select coalesce(jsonb_object_agg(deliveries.recipient, deliveries.status), '{}')
        from iris.report_deliveries as deliveries
        where deliveries.run_id = runs.id
    ) as deliveries
from iris.report_runs as runs
where
    runs.tenant_id = :tenant_id
    and (:report_id::uuid is null or runs.scheduled_report_id = :report_id)
order by runs.started_at desc, runs.id asc
limit :most;

-- name: report_file(tenant_id, run_id)^
select
    runs.file_name,
    files.media_type,
    files.content
from iris.report_files as files
inner join iris.report_runs as runs on files.run_id = runs.id
where runs.tenant_id = :tenant_id and files.run_id = :run_id;

-- name: note_report_failure(tenant_id, message, data)!
insert into iris.system_alerts (tenant_id, alert_type, severity, message, data)
values (:tenant_id, 'report_failure', 'warning', :message, :data);

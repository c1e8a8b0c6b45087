-- name: try_evaluation_lock(what)$
-- One evaluator at a time, for the session: the snapshot that it works on is taken after it has the lock.
select pg_try_advisory_lock(hashtext('iris.alerts'), hashtext(:what));

-- name: release_evaluation_lock(what)$
select pg_advisory_unlock(hashtext('iris.alerts'), hashtext(:what));

-- name: store_rule_states(tenant_ids, rule_ids, states, sinces, values_seen, volumes, problems)!
insert into iris.alert_rule_states as known (tenant_id, rule_id, state, since, value, volume, problem)
select *
from
    unnest(
        :tenant_ids::uuid[],
        :rule_ids::uuid[],
        :states::text[],
        :sinces::timestamptz[],
        :values_seen::numeric[],
        :volumes::bigint[],
        :problems::text[]
    )
on conflict (tenant_id, rule_id) do update set
    state = excluded.state,
    since = excluded.since,
    value = excluded.value,
    volume = excluded.volume,
    problem = excluded.problem;

-- name: forget_states_of_disabled_rules()!
-- A rule that is enabled again begins anew.
delete from iris.alert_rule_states as states
using iris.alert_rules as rules
where
    states.tenant_id = rules.tenant_id
    and states.rule_id = rules.id
    and not rules.enabled;

-- name: open_incidents(key_pattern)
select
    alerts.id,
    alerts.tenant_id,
    alerts.incident_key,
    alerts.alert_type,
    alerts.severity,
    alerts.message,
    alerts.data,
    alerts.actions,
    alerts.cooldown_minutes,
    alerts.created_at,
    alerts.announced_at,
    alerts.last_told_at,
    alerts.reminders,
    alerts.rule_id
from iris.system_alerts as alerts
where
    alerts.status = 'firing'
    and alerts.incident_key like :key_pattern;

-- name: noted_incidents(tenant_ids, incident_keys)
-- Those of these incidents that were noted before.
select
    alerts.tenant_id,
    alerts.incident_key
from iris.system_alerts as alerts
inner join unnest(:tenant_ids::uuid[], :incident_keys::text[]) as asked (tenant_id, incident_key)
    on
        alerts.tenant_id = asked.tenant_id
        and alerts.incident_key = asked.incident_key
where alerts.status = 'noted';

-- name: insert_incident(id, tenant_id, alert_type, severity, message, data, status, incident_key, rule_id, actions, cooldown_minutes, created_at, announced_at)*!
insert into iris.system_alerts (
    id,
    tenant_id,
    alert_type,
    severity,
    message,
    data,
    status,
    incident_key,
    rule_id,
    actions,
    cooldown_minutes,
    created_at,
    announced_at,
    last_told_at
)
values (
    :id,
    :tenant_id,
    :alert_type,
    :severity,
    :message,
    :data,
    :status,
    :incident_key,
    :rule_id,
    :actions,
    :cooldown_minutes,
    :created_at,
    :announced_at,
    :announced_at
);

-- name: note_told(id, told_at, reminders)*!
update iris.system_alerts
set
    announced_at = coalesce(announced_at, :told_at),
    last_told_at = :told_at,
    reminders = :reminders
where id = :id;

-- name: resolve_incident(id, resolved_at)*!
update iris.system_alerts
set status = 'resolved', resolved_at = :resolved_at
where id = :id;

-- name: enqueue_delivery(tenant_id, alert_id, kind, sequence, action_type, recipient, content, due_at)*!
insert into iris.alert_deliveries (tenant_id, alert_id, kind, sequence, action_type, recipient, content, due_at)
values (:tenant_id, :alert_id, :kind, :sequence, :action_type, :recipient, :content, :due_at)
on conflict (alert_id, kind, sequence, action_type, recipient) do nothing;

-- name: active_silences(now)
select
    silences.tenant_id,
    silences.rule_id,
    silences.alert_type
from iris.alert_silences as silences
where
    silences.starts_at <= :now
    and silences.ends_at > :now;

-- name: insert_silence(tenant_id, rule_id, alert_type, starts_at, ends_at, reason)$
insert into iris.alert_silences (tenant_id, rule_id, alert_type, starts_at, ends_at, reason)
values (:tenant_id, :rule_id, :alert_type, :starts_at, :ends_at, :reason)
returning id;

-- name: alert_settings(keys)
select
    settings.tenant_id,
    settings.setting_key,
    settings.setting_value
from iris.tenant_settings as settings
where settings.setting_key = any(:keys::text[]);

-- name: setting_or_default(tenant_id, key, value)$
-- What is set, or what is set now.
insert into iris.tenant_settings as known (tenant_id, setting_key, setting_value)
values (:tenant_id, :key, :value)
on conflict (tenant_id, setting_key) do update
    set setting_value = coalesce(known.setting_value, excluded.setting_value)
returning setting_value;

-- name: insert_alert_rule(tenant_id, id, name, condition, actions, severity, quiet_hours, enabled)!
insert into iris.alert_rules (tenant_id, id, name, condition, actions, severity, quiet_hours, enabled)
values (:tenant_id, :id, :name, :condition, :actions, :severity, :quiet_hours, :enabled);

-- name: update_alert_rule(tenant_id, id, name, condition, actions, severity, quiet_hours, enabled)!
update iris.alert_rules
set
    name = :name,
    condition = :condition,
    actions = :actions,
    severity = :severity,
    quiet_hours = :quiet_hours,
    enabled = :enabled,
    updated_at = clock_timestamp()
where
    tenant_id = :tenant_id
    and id = :id;

-- name: delete_alert_rule(tenant_id, id)!
delete from iris.alert_rules
where
    tenant_id = :tenant_id
    and id = :id;

-- name: alert_rules_with_states(tenant_id)
-- Of one tenant, or of all.
select
    rules.tenant_id,
    tenants.name as tenant,
    rules.id,
    rules.name,
    rules.condition,
    rules.actions,
    rules.severity,
    rules.quiet_hours,
    rules.enabled,
    coalesce(states.state, 'unknown') as state,
    states.since,
    states.value,
    states.problem
from iris.alert_rules as rules
inner join iris.tenants as tenants on rules.tenant_id = tenants.id
left join iris.alert_rule_states as states
    on
        rules.tenant_id = states.tenant_id
        and rules.id = states.rule_id
where :tenant_id::uuid is null or rules.tenant_id = :tenant_id
order by tenants.name, rules.name, rules.id;

-- name: tenant_of_rule(id)$
select rules.tenant_id
from iris.alert_rules as rules
where rules.id = :id;

-- name: tenant_by_id(tenant_id)^
select
    tenants.id,
    tenants.name,
    tenants.timezone,
    tenants.currency
from iris.tenants as tenants
where tenants.id = :tenant_id;

-- name: alert_history(tenant_id, limit)
-- The newest alerts with what became of their messages.
select
    alerts.id,
    alerts.tenant_id,
    alerts.alert_type,
    alerts.severity,
    alerts.status,
    alerts.message,
    alerts.created_at,
    alerts.resolved_at,
    alerts.reminders,
    coalesce(deliveries.delivered, 0) as delivered,
    coalesce(deliveries.pending, 0) as pending,
    coalesce(deliveries.dead, 0) as dead,
    deliveries.last_error
from iris.system_alerts as alerts
left join lateral (
    select
        count(*) filter (where sent.status = 'delivered') as delivered,
        count(*) filter (where sent.status = 'pending') as pending,
        count(*) filter (where sent.status = 'dead') as dead,
        max(sent.last_error) filter (where sent.status <> 'delivered') as last_error
    from iris.alert_deliveries as sent
    where sent.alert_id = alerts.id
) as deliveries on true
where :tenant_id::uuid is null or alerts.tenant_id = :tenant_id
order by alerts.created_at desc, alerts.id asc
limit :limit;

-- name: claim_delivery(now, lease_end)^
-- The next message that is due, for one sender until the end of its lease; of one incident and recipient, each waits
-- for the one before. What failed least comes first, so that a receiver that hangs holds up nobody else for long.
with claimed as (
    update iris.alert_deliveries as deliveries
    set
        claimed_until = :lease_end,
        attempts = deliveries.attempts + 1
    where
        deliveries.id = (
            select waiting.id
            from iris.alert_deliveries as waiting
            where
                waiting.status = 'pending'
                and waiting.due_at <= :now
                and (waiting.claimed_until is null or waiting.claimed_until <= :now)
                and not exists (
                    select from iris.alert_deliveries as earlier
                    where
                        earlier.alert_id = waiting.alert_id
                        and earlier.action_type = waiting.action_type
                        and earlier.recipient = waiting.recipient
                        and earlier.status = 'pending'
                        and earlier.created_at < waiting.created_at
                )
            order by waiting.attempts, waiting.due_at
            limit 1
            for update skip locked
        )
    returning
        deliveries.id,
        deliveries.tenant_id,
        deliveries.action_type,
        deliveries.recipient,
        deliveries.content,
        deliveries.attempts
),

noted as (
    insert into iris.alert_delivery_attempts (delivery_id, attempt, started_at)
    select
        claimed.id,
        claimed.attempts,
        clock_timestamp()
    from claimed
)

select *
from claimed;

-- name: finish_delivery(id, attempt, status, outcome, due_at, reference, detail)!
-- What became of an attempt. Whoever lost its lease to another attempt changes the log, but not the message.
with attempted as (
    update iris.alert_delivery_attempts
    set
        finished_at = clock_timestamp(),
        outcome = :outcome,
        detail = :detail
    where
        delivery_id = :id
        and attempt = :attempt
)

update iris.alert_deliveries
set
    status = :status,
    due_at = :due_at,
    claimed_until = null,
    delivered_at = case when :status = 'delivered' then clock_timestamp() end,
    reference = :reference,
    last_error = case when :status = 'delivered' then null else :detail end
where
    id = :id
    and status = 'pending'
    and (attempts = :attempt or :status = 'delivered');

-- name: forget_messages(before)!
-- Those that were delivered or given up before an instant, which is when they were due the last time.
delete from iris.alert_deliveries
where
    status <> 'pending'
    and due_at < :before;

-- name: forget_incidents(before)!
-- Those that had ended before an instant, and notes that nothing is told once by, unless a message is left of them.
delete from iris.system_alerts as alerts
where
    (
        (alerts.status = 'resolved' and alerts.resolved_at < :before)
        or (
            alerts.status = 'noted'
            and alerts.incident_key is null
            and alerts.alert_type <> 'run_failure'
            and alerts.created_at < :before
        )
    )
    and not exists (
        select from iris.alert_deliveries as kept
        where kept.alert_id = alerts.id
    );

-- name: forget_silences(before)!
delete from iris.alert_silences
where ends_at < :before;

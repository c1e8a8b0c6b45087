-- Rules as they were read, so that all of them can be judged by one statement: what did not change is not read again.

create sequence iris.alert_rule_revisions;

alter table iris.alert_rules add column revision bigint not null default nextval('iris.alert_rule_revisions');
comment on column iris.alert_rules.revision is 'Another one after every change, whoever made it.';

create function iris.revise_alert_rule() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    new.revision := nextval('iris.alert_rule_revisions');
    return new;
end
$$;

create trigger revise before insert or update on iris.alert_rules
for each row execute function iris.revise_alert_rule();

create table iris.checked_alert_rules (
    tenant_id uuid not null,
    rule_id uuid not null,
    revision bigint not null,
    checked_by text not null,
    problem text,
    source text check (source in ('rollup', 'events', 'percentiles')),
    kind text check (kind in ('rate', 'count', 'cost', 'mean', 'percentile')),
    numerator text,
    denominator text,
    operator text check (operator in ('>', '<', '>=', '<=', '=')),
    threshold numeric,
    time_limit bigint,
    time_window integer,
    channel text collate "C",
    provider text collate "C",
    campaign_id uuid,
    min_volume bigint,
    alerts_without_data boolean,
    primary key (tenant_id, rule_id),
    foreign key (tenant_id, rule_id) references iris.alert_rules on delete cascade,
    check (
        problem is not null
        or num_nulls(
            source, kind, numerator, denominator, operator, threshold, time_window, min_volume, alerts_without_data
        ) = 0
    )
);
comment on table iris.checked_alert_rules is
'What each rule asks, as read from the revision named: the value is a quotient of two measures of its window. '
'It is written by who evaluates; a rule of another revision, or read by other code, is read again.';
comment on column iris.checked_alert_rules.checked_by is 'The code that read it: another one may read it otherwise.';
comment on column iris.checked_alert_rules.time_limit is
'Of a percentile, in whole milliseconds: the least that fulfils > and >=, and that does not fulfil < and <=.';
comment on column iris.checked_alert_rules.problem is 'Why it cannot be evaluated; then the other columns are empty.';

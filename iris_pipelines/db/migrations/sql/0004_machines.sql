-- What opened and clicked: user agents, taken apart once, and which opens and clicks machines made, and why.

-- Null for most events, where it takes no room: a reason stands only where a machine was at work, or where whoever
-- reported the event said whether one was ('reported'), which no rule ever overrules.
alter table iris.analytics_events add column machine_reason text collate "C";
comment on column iris.analytics_events.machine_reason is
'Why an open or a click counts as made by a machine; ''reported'' if is_machine was stated with the event. '
'Null with is_machine set: stated by plain SQL, and left as it is too.';

-- A consumer that corrects events need not be told of its own corrections: it says who it is in `iris.consumer`.
alter table iris.touched_hours
add column noted_by text default nullif(current_setting('iris.consumer', true), '');
comment on column iris.touched_hours.noted_by is
'The consumer whose own statement touched the hour, if it was one: the hour is handed out to all others.';

create table iris.user_agents (
    user_agent_md5 uuid primary key generated always as (md5(user_agent)::uuid) stored,
    user_agent text not null,
    device_type text not null
    check (device_type in ('phone', 'tablet', 'desktop', 'tv', 'proxy', 'bot', 'unknown')),
    os text not null,
    client text not null,
    proxy text,
    machine_reason text collate "C",
    parser_version text not null,
    rules_version integer not null,
    described_at timestamptz not null default clock_timestamp()
);
comment on table iris.user_agents is
'One row a user agent of opens and clicks, of all tenants together: what it says about who was reading.';
comment on column iris.user_agents.proxy is
'The image proxy that it is: where it stands and what it runs on says nothing about the reader. Null for all others.';
comment on column iris.user_agents.machine_reason is
'Why whatever it opens or clicks counts as made by a machine, by the rules of rules_version. Null if it does not.';


create table iris.machine_verdicts (
    day date primary key,
    rules_version integer not null,
    judged_at timestamptz not null default clock_timestamp()
);
comment on table iris.machine_verdicts is
'The UTC days whose opens and clicks have been judged, and by which rules; the verdicts stand with the events. '
'Hours that got events since are in iris.stale_hours.';

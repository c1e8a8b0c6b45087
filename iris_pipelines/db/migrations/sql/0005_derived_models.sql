-- Relations that are built from others: replacing a window of an input makes what stands on it stale.

alter table iris.event_consumers drop constraint event_consumers_grain_check;
alter table iris.event_consumers
add check (grain in ('hour', 'day', 'closed_day', 'campaign')),
add column inputs text[] not null default array['iris.analytics_events'],
add column reach_days integer not null default 0 check (reach_days >= 0);
comment on table iris.event_consumers is
'Relations built from the event log or from each other; each has its own stale hours, or stale campaigns.';
comment on column iris.event_consumers.inputs is
'What it reads: iris.analytics_events, whose hours are handed out from iris.touched_hours, and other consumers, '
'which note what stands on them in the transaction that replaces a window.';
comment on column iris.event_consumers.reach_days is
'How many days after a day of an input still depend on it: 29 for rows over the trailing 30 days.';

create table iris.stale_campaigns (
    consumer text not null,
    tenant_id uuid not null,
    campaign_id uuid not null,
    noted_at timestamptz not null default clock_timestamp()
);
comment on table iris.stale_campaigns is
'Campaigns that a consumer must compute anew, deleted in the transaction that does. '
'No unique key, so that writers never wait for each other.';

create index stale_campaigns_by_consumer on iris.stale_campaigns (consumer, tenant_id, campaign_id);

-- A rebuild of campaigns has no windows.
create table iris.rebuilds (
    rebuild_id uuid primary key,
    requested_by text,
    requested_at timestamptz not null default clock_timestamp()
);
comment on table iris.rebuilds is 'What was asked to be rebuilt, and by whom.';
comment on column iris.rebuilds.requested_by is 'The id of the Dagster run, if one asked for it.';

create index rebuilds_by_run on iris.rebuilds (requested_by);

alter table iris.rebuild_windows drop column requested_by;

create table iris.rebuilt_campaigns (
    rebuild_id uuid not null,
    relation text not null,
    campaign_count bigint not null,
    row_count bigint not null,
    rebuilt_at timestamptz not null default clock_timestamp(),
    primary key (rebuild_id, relation)
);
comment on table iris.rebuilt_campaigns is
'How many campaigns a run computed anew, written in the transaction that did.';

create function iris.note_stale_campaign(tenant_id uuid, campaign_id uuid) returns void
language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    insert into iris.stale_campaigns (consumer, tenant_id, campaign_id)
    select
        consumers.consumer,
        note_stale_campaign.tenant_id,
        note_stale_campaign.campaign_id
    from iris.event_consumers as consumers
    where consumers.grain = 'campaign' and note_stale_campaign.campaign_id is not null;
end;

-- A campaign's name stands in its row.
create function iris.note_changed_campaign() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform iris.note_stale_campaign(coalesce(new.tenant_id, old.tenant_id), coalesce(new.id, old.id));
    return null;
end
$$;

create trigger note_new_campaign after insert or delete on iris.campaigns
for each row execute function iris.note_changed_campaign();

create trigger note_renamed_campaign after update of name on iris.campaigns
for each row when (old.name is distinct from new.name)
execute function iris.note_changed_campaign();

-- The variant of a message says in which part of an A/B test its events count. Hardly any message has one, and what
-- events do to messages never changes it: the rest passes by these triggers.
create function iris.note_changed_variant() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op <> 'INSERT' then
        perform iris.note_stale_campaign(old.tenant_id, old.campaign_id);
    end if;
    if tg_op <> 'DELETE' then
        perform iris.note_stale_campaign(new.tenant_id, new.campaign_id);
    end if;
    return null;
end
$$;

create function iris.note_new_variants() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform iris.note_stale_campaign(variants.tenant_id, variants.campaign_id)
    from (
        select distinct
            touched.tenant_id,
            touched.campaign_id
        from touched
        where touched.variant is not null and touched.campaign_id is not null
    ) as variants;
    return null;
end
$$;

create trigger note_new_variants after insert on iris.messages
referencing new table as touched
for each statement execute function iris.note_new_variants();

create trigger note_deleted_variants after delete on iris.messages
referencing old table as touched
for each statement execute function iris.note_new_variants();

create trigger note_changed_variant after update of variant, campaign_id on iris.messages
for each row when ((old.variant, old.campaign_id) is distinct from (new.variant, new.campaign_id))
execute function iris.note_changed_variant();

-- A renamed campaign, or a changed variant, concerns only those who read names, or variants.

create function iris.note_stale_campaign(tenant_id uuid, campaign_id uuid, source text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    insert into iris.stale_campaigns (consumer, tenant_id, campaign_id)
    select
        consumers.consumer,
        note_stale_campaign.tenant_id,
        note_stale_campaign.campaign_id
    from iris.event_consumers as consumers
    where
        consumers.grain = 'campaign'
        and note_stale_campaign.source = any(consumers.inputs)
        and note_stale_campaign.campaign_id is not null;
end;

create or replace function iris.note_changed_campaign() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform iris.note_stale_campaign(
        coalesce(new.tenant_id, old.tenant_id), coalesce(new.id, old.id), 'iris.campaigns'
    );
    return null;
end
$$;

create or replace function iris.note_changed_variant() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op <> 'INSERT' then
        perform iris.note_stale_campaign(old.tenant_id, old.campaign_id, 'iris.messages');
    end if;
    if tg_op <> 'DELETE' then
        perform iris.note_stale_campaign(new.tenant_id, new.campaign_id, 'iris.messages');
    end if;
    return null;
end
$$;

create or replace function iris.note_new_variants() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform iris.note_stale_campaign(variants.tenant_id, variants.campaign_id, 'iris.messages')
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

drop function iris.note_stale_campaign(uuid, uuid);

comment on column iris.event_consumers.inputs is
'What it reads: iris.analytics_events, whose hours are handed out from iris.touched_hours; other consumers, which note '
'what stands on them in the transaction that replaces a window; iris.campaigns and iris.messages, whose triggers note '
'the campaigns of those who read names and variants.';

-- The variants of a campaign's messages, or of those of no campaign, without a look at all the others.
create index messages_by_campaign_of_variants on iris.messages (campaign_id, tenant_id, id) include (variant)
where variant is not null;

-- It is a view now.
delete from iris.stale_campaigns
where consumer = 'analytics.campaign_costs';
delete from iris.event_consumers
where consumer = 'analytics.campaign_costs';

-- The event log as the design guide has it: its columns, its monthly partitions, its primary key and its five indexes.

create schema guide;

create table guide.analytics_events (
    id uuid default gen_random_uuid(),
    tenant_id uuid not null,
    event_type varchar(50) not null,
    timestamp timestamptz not null default now(),
    message_id uuid,
    campaign_id uuid,
    contact_id uuid,
    channel varchar(50),
    provider varchar(100),
    event_data jsonb,
    ip_address inet,
    user_agent text,
    geo_location jsonb,
    cost decimal(10, 6),
    duration_ms integer,
    success boolean,
    error_code varchar(100),
    error_message text,
    primary key (timestamp, id)
) partition by range (timestamp);

create table guide.analytics_events_2026_11 partition of guide.analytics_events
for values from ('2026-11-01') to ('2026-12-01');

-- In the order in which the events happened, as it comes in. The indexes are made after it, which leaves them denser.
insert into guide.analytics_events
select
    id,
    tenant_id,
    event_type,
    timestamp,
    message_id,
    campaign_id,
    contact_id,
    channel,
    provider,
    event_data,
    ip_address,
    user_agent,
    geo_location,
    cost,
    duration_ms,
    success,
    error_code,
    error_message
from iris.analytics_events
order by timestamp;

create index idx_analytics_tenant_time on guide.analytics_events (tenant_id, timestamp desc);
create index idx_analytics_message on guide.analytics_events (message_id, timestamp desc);
create index idx_analytics_campaign on guide.analytics_events (campaign_id, timestamp desc);
create index idx_analytics_channel on guide.analytics_events (channel, timestamp desc);
create index idx_analytics_event_type on guide.analytics_events (event_type, timestamp desc);

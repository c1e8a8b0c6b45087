-- What the platform owns and the pipelines read: tenants, contacts, campaigns, messages.

create table iris.tenants (
    id uuid primary key default gen_random_uuid(),
    name text not null,
    timezone text not null default 'UTC',
    currency text not null default 'USD' check (currency ~ '^[A-Z]{3}$'),
    created_at timestamptz not null default now()
);

create table iris.tenant_settings (
    tenant_id uuid not null references iris.tenants on delete cascade,
    setting_key text not null,
    setting_value text,
    primary key (tenant_id, setting_key)
);

create table iris.contacts (
    tenant_id uuid not null references iris.tenants on delete cascade,
    id uuid not null default gen_random_uuid(),
    first_name text,
    last_name text,
    email text,
    phone text,
    email_status text,
    engagement_score integer not null default 0,
    last_engagement_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (tenant_id, id)
);

create table iris.campaigns (
    tenant_id uuid not null references iris.tenants on delete cascade,
    id uuid not null default gen_random_uuid(),
    name text not null,
    status text not null default 'draft',
    channel text,
    created_at timestamptz not null default now(),
    primary key (tenant_id, id)
);

create table iris.messages (
    tenant_id uuid not null references iris.tenants on delete cascade,
    id uuid not null default gen_random_uuid(),
    campaign_id uuid,
    to_contact_id uuid,
    to_address text,
    channel text,
    provider text,
    provider_message_id text,
    variant text,
    status text not null default 'queued',
    provider_status text,
    cost numeric(10, 6),
    created_at timestamptz not null default now(),
    sent_at timestamptz,
    delivered_at timestamptz,
    failed_at timestamptz,
    opened_at timestamptz,
    open_count integer not null default 0,
    clicked_at timestamptz,
    click_count integer not null default 0,
    error_code text,
    error_message text,
    primary key (tenant_id, id)
);

create index messages_by_provider_message_id on iris.messages (provider, provider_message_id)
where provider_message_id is not null;

create table iris.email_bounces (
    tenant_id uuid not null references iris.tenants on delete cascade,
    id uuid not null default gen_random_uuid(),
    message_id uuid,
    contact_id uuid,
    address text,
    bounce_type text not null check (bounce_type in ('hard', 'soft', 'complaint')),
    bounce_subtype text,
    bounced_at timestamptz not null,
    raw_response text,
    primary key (tenant_id, id)
);

create index email_bounces_by_contact on iris.email_bounces (tenant_id, contact_id);

create table iris.suppression_list (
    tenant_id uuid not null references iris.tenants on delete cascade,
    id uuid not null default gen_random_uuid(),
    address text not null,
    channel text not null,
    suppression_type text not null
    check (suppression_type in ('bounce', 'complaint', 'unsubscribe', 'manual')),
    reason text,
    suppressed_at timestamptz not null default now(),
    primary key (tenant_id, id),
    unique (tenant_id, address, channel)
);

-- One spelling for one address, however a writer has it: numbers without punctuation, the rest as mail has it.
create function iris.normalised_address(channel text, address text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
return case
    when lower(trim(channel)) in ('sms', 'voice', 'whatsapp')
        then regexp_replace(address, '[[:space:]()\[\]-]', '', 'g')
    when lower(trim(channel)) = 'email' then lower(trim(address))
    else trim(address)
end;

-- What providers charge, by whom a tenant sends unless it says otherwise, and months that begin where the tenant is.

-- Months follow the time zone: one that PostgreSQL does not know would break every view that asks for them.
alter table iris.tenants
add constraint tenants_timezone_check
check (timestamptz '2000-01-01 00:00:00+00' at time zone timezone is not null);

create table iris.provider_prices (
    id bigint generated always as identity primary key,
    tenant_id uuid references iris.tenants on delete cascade,
    provider text collate "C" not null check (provider <> '' and provider = lower(provider)),
    channel text collate "C" not null check (channel <> '' and channel = lower(channel)),
    country text collate "C" check (country ~ '^[A-Z]{2}$'),
    price numeric(12, 6) not null check (price >= 0),
    currency text not null default 'USD' check (currency ~ '^[A-Z]{3}$'),
    valid_from date not null,
    valid_to date,
    loaded_at timestamptz not null default clock_timestamp(),
    check (valid_from < valid_to),
    unique nulls not distinct (tenant_id, channel, country, provider, currency, valid_from)
);
comment on table iris.provider_prices is
'What a message costs by a provider, from a UTC day on. Where validities overlap, the one that began last counts.';
comment on column iris.provider_prices.tenant_id is
'Whose price it is; null for a price of everybody who has none of its own.';
comment on column iris.provider_prices.country is
'ISO 3166 code of where the message goes; null for all countries that have no price of their own.';
comment on column iris.provider_prices.valid_to is 'The first UTC day on which it is no longer valid; null for none.';

create table iris.provider_accounts (
    tenant_id uuid not null references iris.tenants on delete cascade,
    id uuid not null default gen_random_uuid(),
    provider text collate "C" not null check (provider <> '' and provider = lower(provider)),
    account text not null default 'main',
    channel text collate "C" check (channel <> '' and channel = lower(channel)),
    is_default boolean not null default false,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique nulls not distinct (tenant_id, provider, account, channel)
);
comment on table iris.provider_accounts is 'By whom a tenant sends.';
comment on column iris.provider_accounts.channel is 'What it is for; null for every channel.';
comment on column iris.provider_accounts.is_default is
'Whether messages of the channel go by it unless something else is decided for them.';

create unique index provider_accounts_one_default on iris.provider_accounts (tenant_id, channel) nulls not distinct
where is_default;

-- name: lock_provider_prices()!
-- Of two lists that are loaded at the same time, the second sees what the first made.
lock table iris.provider_prices in share row exclusive mode;

-- name: provider_prices_of(providers)
-- Every price of these providers.
select
    id,
    tenant_id,
    channel,
    country,
    provider,
    price,
    currency,
    valid_from,
    valid_to
from iris.provider_prices
where provider = any(:providers)
order by id;

-- name: delete_provider_prices(ids)!
delete from iris.provider_prices
where id = any(:ids);

-- name: insert_provider_price(tenant_id, channel, country, provider, price, currency, valid_from, valid_to)*!
insert into iris.provider_prices (tenant_id, channel, country, provider, price, currency, valid_from, valid_to)
values (:tenant_id, :channel, :country, :provider, :price, :currency, :valid_from, :valid_to);

-- name: clear_default_provider(tenant_id, channel)!
update iris.provider_accounts set is_default = false
where
    tenant_id = :tenant_id
    and channel is not distinct from :channel
    and is_default;

-- name: set_default_provider(tenant_id, channel, provider)!
-- Any account at the provider will do; without one, there is one from now on.
insert into iris.provider_accounts (tenant_id, provider, channel, is_default)
values (:tenant_id, :provider, :channel, true)
on conflict (tenant_id, provider, account, channel) do update set is_default = true;

-- name: set_tenant_setting(tenant_id, setting_key, setting_value)!
insert into iris.tenant_settings (tenant_id, setting_key, setting_value)
values (:tenant_id, :setting_key, :setting_value)
on conflict (tenant_id, setting_key) do update set setting_value = excluded.setting_value;

-- name: delete_tenant_setting(tenant_id, setting_key)!
delete from iris.tenant_settings
where
    tenant_id = :tenant_id
    and setting_key = :setting_key;

-- name: tenant_setting(tenant_id, setting_key)$
select setting_value
from iris.tenant_settings
where
    tenant_id = :tenant_id
    and setting_key = :setting_key;

-- name: budget_status_of(tenant_id)
-- The months of a tenant, the latest first.
select
    month,
    currency,
    monthly_budget,
    current_spend,
    percent_used,
    threshold
from analytics.budget_status
where tenant_id = :tenant_id
order by month desc;

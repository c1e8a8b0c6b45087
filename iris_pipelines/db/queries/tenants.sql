-- name: create_tenant(id, name, timezone, currency)<!
insert into iris.tenants (id, name, timezone, currency)
values (:id, :name, :timezone, :currency)
on conflict (id) do nothing
returning id;

-- name: all_tenants()
select
    id,
    name,
    timezone,
    currency
from iris.tenants
order by name, id;

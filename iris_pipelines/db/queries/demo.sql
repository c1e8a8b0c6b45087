-- name: demo_loaded_until(tenant_id)$
-- The end of the demo's traffic; null until all of it was loaded.
select setting_value
from iris.tenant_settings
where
    tenant_id = :tenant_id
    and setting_key = 'demo_loaded_until';

-- name: note_demo_loaded(tenant_id, until)!
insert into iris.tenant_settings (tenant_id, setting_key, setting_value)
values (:tenant_id, 'demo_loaded_until', :until)
on conflict (tenant_id, setting_key) do update set setting_value = excluded.setting_value;

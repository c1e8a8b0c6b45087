select
    user_agent_md5,
    user_agent,
    device_type,
    os,
    client,
    proxy,
    proxy is not null as is_proxy,
    machine_reason

from {{ source('iris', 'user_agents') }}

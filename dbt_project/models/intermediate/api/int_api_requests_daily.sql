{{ config(materialized='windowed') }}

with

requests as (

    select
        tenant_id,
        (timestamp at time zone 'UTC')::date as date,
        {{ path_with_ids_folded("coalesce(event_data ->> 'path', '')") }} as path,
        upper(left(coalesce(nullif(event_data ->> 'method', ''), 'unknown'), 20)) as method,
        event_data ->> 'status_code' as status_code,
        duration_ms as response_time_ms,
        success

    from {{ ref('stg_iris__events') }}
    where {{ in_window('timestamp') }} and event_type = 'api.request'

),

-- Materialized, so that the dear part of folding is for each path once, not for each request.
by_path as materialized (

    select
        tenant_id,
        date,
        path,
        method,
        response_time_ms,
        count(*) as requests,
        count(*) filter (where success) as successful_requests,
        count(*) filter (where status_code ~ '^4[0-9][0-9]$') as client_errors,
        count(*) filter (where status_code ~ '^5[0-9][0-9]$') as server_errors

    from requests
    group by tenant_id, date, path, method, response_time_ms

),

endpoints as materialized (

    select
        path,
        {{ endpoint('path') }} as endpoint

    from by_path
    group by path

),

final as (

    select
        by_path.tenant_id,
        by_path.date,
        endpoints.endpoint,
        by_path.method,
        by_path.response_time_ms,
        sum(by_path.requests)::bigint as requests,
        sum(by_path.successful_requests)::bigint as successful_requests,
        sum(by_path.client_errors)::bigint as client_errors,
        sum(by_path.server_errors)::bigint as server_errors

    from by_path
    inner join endpoints on by_path.path = endpoints.path
    group by
        by_path.tenant_id,
        by_path.date,
        endpoints.endpoint,
        by_path.method,
        by_path.response_time_ms

)

select * from final

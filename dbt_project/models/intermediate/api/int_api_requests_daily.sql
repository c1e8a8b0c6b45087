{{ config(materialized='windowed') }}

with

requests as (

    select
        tenant_id,
        {{ date_of_event() }} as date,
        {{ path_with_ids_folded("coalesce(event_data ->> 'path', '')") }} as path,
        event_data ->> 'method' as method,
        event_data ->> 'status_code' as status_code,
        duration_ms as response_time_ms,
        success

    from {{ ref('stg_iris__events') }}
    where {{ in_window('timestamp') }} and event_type = 'api.request'

),

-- Materialized, so that what is dear is done once for each group and path, not for each request.
by_path as materialized (

    select
        tenant_id,
        date,
        path,
        method,
        status_code,
        response_time_ms,
        count(*) as requests,
        count(*) filter (where success) as successful_requests

    from requests
    group by tenant_id, date, path, method, status_code, response_time_ms

),

endpoints as materialized (

    select
        path,
        {{ endpoint('path') }} as endpoint

    from by_path
    group by path

),

by_endpoint as (

    select
        by_path.tenant_id,
        by_path.date,
        endpoints.endpoint,
        upper(left(coalesce(nullif(by_path.method, ''), 'unknown'), 20)) as method,
        by_path.response_time_ms,
        by_path.requests,
        by_path.successful_requests,
        by_path.status_code ~ '^4[0-9][0-9]$' as is_client_error,
        by_path.status_code ~ '^5[0-9][0-9]$' as is_server_error

    from by_path
    inner join endpoints on by_path.path = endpoints.path

),

final as (

    select
        tenant_id,
        date,
        endpoint,
        method,
        response_time_ms,
        sum(requests)::bigint as requests,
        sum(successful_requests)::bigint as successful_requests,
        coalesce(sum(requests) filter (where is_client_error), 0)::bigint as client_errors,
        coalesce(sum(requests) filter (where is_server_error), 0)::bigint as server_errors

    from by_endpoint
    group by tenant_id, date, endpoint, method, response_time_ms

)

select * from final

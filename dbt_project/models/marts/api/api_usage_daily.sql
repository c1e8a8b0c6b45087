{{ config(materialized='windowed') }}

with

requests as (

    select * from {{ ref('int_api_requests_daily') }}
    where {{ in_window_days('date') }}

),

counted as (

    select
        tenant_id,
        date,
        endpoint,
        method,
        sum(requests)::bigint as total_requests,
        sum(successful_requests)::bigint as successful_requests,
        sum(requests - successful_requests)::bigint as failed_requests,
        sum(client_errors)::bigint as client_errors,
        sum(server_errors)::bigint as server_errors,
        sum(requests::numeric * response_time_ms) / sum(requests) filter (where response_time_ms is not null) as mean_ms

    from requests
    group by tenant_id, date, endpoint, method

),

-- One row per request again: that is what percentile_cont counts.
timed as (

    select
        requests.tenant_id,
        requests.date,
        requests.endpoint,
        requests.method,
        percentile_cont(0.95) within group (order by requests.response_time_ms) as p95_ms

    from requests
    cross join lateral generate_series(1, requests.requests)
    group by requests.tenant_id, requests.date, requests.endpoint, requests.method

),

-- Both have the same groups. No nested loop can do a full join, and it would compute the percentiles once a group.
final as (

    select
        tenant_id,
        date,
        endpoint,
        method,
        counted.total_requests,
        counted.successful_requests,
        counted.failed_requests,
        counted.client_errors,
        counted.server_errors,
        round(counted.mean_ms)::bigint as avg_response_time_ms,
        {{ whole_ms('timed.p95_ms') }} as p95_response_time_ms,
        {{ rate('counted.failed_requests', 'counted.total_requests') }} as error_rate,
        now() as computed_at

    from counted
    full join timed using (tenant_id, date, endpoint, method)

)

select * from final

{{ config(materialized='windowed') }}

with

failures as (

    select
        tenant_id,
        {{ date_of_event() }} as date,
        coalesce(channel, 'unknown') as channel,
        coalesce(provider, 'unknown') as provider,
        {{ error_words('error_code', 100) }} as error_code,
        {{ error_words('error_message', 400) }} as error_message

    from {{ ref('stg_iris__events') }}
    where {{ in_window('timestamp') }} and event_type = 'message.failed'

),

final as (

    select
        tenant_id,
        date,
        channel,
        provider,
        error_code,
        error_message,
        count(*) as failures,
        now() as computed_at

    from failures
    group by tenant_id, date, channel, provider, error_code, error_message

)

select * from final

with

costs as (

    select
        tenant_id,
        date,
        channel,
        messages_sent,
        total_cost as actual_cost,
        computed_at

    from {{ ref('analytics_daily') }}

),

sent as (

    select
        messages.tenant_id,
        messages.date,
        messages.channel,
        messages.country,
        messages.messages,
        messages.cost,
        coalesce(tenants.currency, 'USD') as currency

    from {{ ref('int_sent_costs_daily') }} as messages
    left join {{ ref('stg_iris__tenants') }} as tenants on messages.tenant_id = tenants.tenant_id

),

-- One price a provider: the tenant's own before everybody's, that of the country before that of all others.
priced as (

    select
        sent.tenant_id,
        sent.date,
        sent.channel,
        sent.messages,
        sent.cost,
        found.dearest,
        found.total / found.providers as average,
        found.of_default

    from sent
    left join lateral (
        select accounts.provider
        from {{ ref('stg_iris__provider_accounts') }} as accounts
        where
            accounts.is_default
            and accounts.tenant_id = sent.tenant_id
            and coalesce(accounts.channel, sent.channel) = sent.channel
        order by accounts.channel nulls last
        limit 1
    ) as defaults on true
    inner join lateral (
        select
            max(of_provider.price) as dearest,
            sum(of_provider.price) as total,
            count(*) as providers,
            max(of_provider.price) filter (where of_provider.provider = defaults.provider) as of_default
        from (
            select distinct on (prices.provider)
                prices.provider,
                prices.price
            from {{ ref('stg_iris__provider_prices') }} as prices
            where
                prices.channel = sent.channel
                and prices.currency = sent.currency
                and coalesce(prices.tenant_id, sent.tenant_id) = sent.tenant_id
                and coalesce(prices.country, sent.country) = sent.country
                and prices.valid_from <= sent.date
                and coalesce(prices.valid_to > sent.date, true)
            order by
                prices.provider asc,
                prices.tenant_id asc nulls last,
                prices.country asc nulls last,
                prices.valid_from desc
        ) as of_provider
    ) as found on found.providers > 0

),

measured as (

    select
        tenant_id,
        date,
        channel,
        sum(messages)::bigint as measured_messages,
        sum(cost) as measured_actual_cost,
        sum(messages * dearest) as measured_cost_dearest,
        round(sum(messages * average), 6) as measured_cost_average,
        (sum(messages) filter (where of_default is not null))::bigint as default_messages,
        sum(cost) filter (where of_default is not null) as default_actual_cost,
        sum(messages * of_default) as measured_cost_default

    from priced
    group by tenant_id, date, channel

),

final as (

    select
        costs.tenant_id,
        costs.date,
        costs.channel,
        costs.messages_sent,
        costs.actual_cost,
        costs.actual_cost * 1.4 as estimated_cost_without_lcr,
        costs.actual_cost * 1.4 - costs.actual_cost as estimated_savings,
        coalesce(measured.measured_messages, 0) as measured_messages,
        measured.measured_actual_cost,
        measured.measured_cost_dearest,
        measured.measured_cost_average,
        coalesce(measured.default_messages, 0) as default_messages,
        measured.default_actual_cost,
        measured.measured_cost_default,
        measured.measured_cost_dearest - measured.measured_actual_cost as measured_savings_dearest,
        measured.measured_cost_average - measured.measured_actual_cost as measured_savings_average,
        measured.measured_cost_default - measured.default_actual_cost as measured_savings_default,
        costs.computed_at

    from costs
    left join measured
        on
            costs.tenant_id = measured.tenant_id
            and costs.date = measured.date
            and costs.channel = measured.channel

)

select * from final

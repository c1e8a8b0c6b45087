with

-- What is no amount is no budget: any service may write a setting.
budgets as (

    select
        tenants.tenant_id,
        tenants.timezone,
        tenants.currency,
        case
            when settings.setting_value ~ '^\s*[0-9]{1,15}([.][0-9]*)?\s*$' then settings.setting_value::numeric
        end as monthly_budget

    from {{ ref('stg_iris__tenants') }} as tenants
    left join {{ ref('stg_iris__tenant_settings') }} as settings
        on tenants.tenant_id = settings.tenant_id and settings.setting_key = 'monthly_budget'

),

spent as (

    select
        pieces.tenant_id,
        date_trunc('month', pieces.starts_at at time zone coalesce(budgets.timezone, 'UTC'))::date as month,
        sum(pieces.cost) as current_spend

    from {{ ref('int_cost_pieces_daily') }} as pieces
    left join budgets on pieces.tenant_id = budgets.tenant_id
    group by 1, 2

),

-- Nothing was spent yet of a month that has just begun.
months as (

    select
        tenant_id,
        month
    from spent
    union
    select
        tenant_id,
        date_trunc('month', now() at time zone timezone)::date as month
    from budgets
    where monthly_budget is not null

),

final as (

    select
        months.tenant_id,
        months.month,
        coalesce(budgets.timezone, 'UTC') as timezone,
        coalesce(budgets.currency, 'USD') as currency,
        budgets.monthly_budget,
        coalesce(spent.current_spend, 0) as current_spend,
        {{ rate("nullif(coalesce(spent.current_spend, 0), 'NaN')", 'budgets.monthly_budget') }} as percent_used,
        case
            when budgets.monthly_budget <= 0 or spent.current_spend = 'NaN' then null
            when spent.current_spend >= budgets.monthly_budget then 100
            when spent.current_spend >= budgets.monthly_budget * 0.90 then 90
            when spent.current_spend >= budgets.monthly_budget * 0.75 then 75
        end as threshold

    from months
    left join budgets on months.tenant_id = budgets.tenant_id
    left join spent
        on
            months.tenant_id = spent.tenant_id
            and months.month = spent.month

)

select * from final

{# The statistics of A/B tests, as in iris_pipelines/domain/experiments; docs/experiments.md has the method.

   The mixtures have closed forms, so that ln, exp and sqrt in double precision are all it takes. PostgreSQL's greatest
   and least skip nulls: wherever a figure may be missing, a `case` keeps it missing. #}


{# How far from zero a sum of this variance ever gets in 5 % of cases, in squared deviations of the mixture. #}
{% macro mixture_threshold(variance) -%}
    ln(({{ variance }} + 10.0) / (10.0::double precision * 0.05 * 0.05))
{%- endmacro %}


{# A p-value from its logarithm, at most 1. PostgreSQL takes an exp() that is too small for an error. #}
{% macro p_value_of(logarithm) -%}
    case
        when {{ logarithm }} > 0.0 then 1.0
        when {{ logarithm }} < -700.0 then exp(-700.0::double precision)
        else exp({{ logarithm }})
    end
{%- endmacro %}


{# The lower end of the always-valid interval of a rate of which there are `successes` in `sent`. #}
{% macro rate_low(sent, successes, threshold) -%}
    {%- set middle = '(2.0 * ' ~ successes ~ ' + ' ~ threshold ~ ')' -%}
    {%- set constant = '((' ~ successes ~ ' * ' ~ successes ~ ' - 10.0 * ' ~ threshold ~ ') / ' ~ sent ~ ')' -%}
    {%- set square = '(' ~ sent ~ ' + ' ~ threshold ~ ')' -%}
    case
        when {{ constant }} > 0.0
            then 2.0 * {{ constant }} / (
                {{ middle }} + sqrt(greatest({{ middle }} * {{ middle }} - 4.0 * {{ square }} * {{ constant }}, 0.0))
            )
        when {{ sent }} > 0.0 then 0.0
    end
{%- endmacro %}


{# A part of 1 as a percentage with 2 decimals. #}
{% macro percent(part) -%}
    round((100.0 * ({{ part }}))::numeric, 2)
{%- endmacro %}


{# One step towards the spread at which a test finds the lift that it is sized for. #}
{% macro next_spread(spread) -%}
    (
        select root * root as spread
        from (
            select (reach + sqrt(reach * reach + 4.0 * 10.0 * slope * slope)) / (2.0 * slope) as root
            from (
                select sqrt(ln({{ spread }} / (10.0 * error_rate * error_rate))) + 0.8416212335729143 as reach
                limit 1
            ) as reached
            limit 1
        ) as solved
        limit 1
    )
{%- endmacro %}


{# The results of A/B tests by variant, from a relation with tenant_id, campaign_id, variant, metric, sent, successes.

   A test is a campaign and a metric; its control is the variant `control`, else `A`, else the first by name. Every row
   comes back with its rate, its difference from the control, its verdict, and the messages it still needs to find a
   lift of `minimum_lift` (a part of the control's rate). Rates, differences and lift are per cent. #}
{% macro experiment_results(relation, minimum_lift=0.1) -%}
    with

    counted as (

        select
            tenant_id,
            campaign_id,
            variant,
            metric,
            sent,
            successes,
            row_number() over (
                partition by tenant_id, campaign_id, metric
                order by variant = 'control' desc, variant = 'A' desc, variant collate "C"
            ) = 1 as is_control,
            -- An event may arrive before the sending it belongs to: no more than everybody can have succeeded.
            least(successes, sent)::numeric as exact_successes,
            sent::numeric as exact_sent,
            least(successes, sent)::double precision as s,
            nullif(sent, 0)::double precision as n

        from {{ relation }}

    ),

    -- One success and one failure more keep the variance of a rate above zero.
    varying as (

        select
            *,
            s / n as p,
            (s + 1.0) * (n - s + 1.0) / ((n + 2.0) * (n + 2.0) * n) as variance

        from counted

    ),

    with_control as (

        select
            *,
            max(exact_successes) filter (where is_control) over test as control_exact_successes,
            max(exact_sent) filter (where is_control) over test as control_exact_sent,
            max(n) filter (where is_control) over test as control_n,
            max(p) filter (where is_control) over test as control_p,
            max(variance) filter (where is_control) over test as control_p_variance,
            count(*) over test as variants,
            (sum(exact_sent) over test)::double precision as total,
            {{ mixture_threshold('n * (n * variance)') }} as rate_threshold

        from varying
        window test as (partition by tenant_id, campaign_id, metric)

    ),

    weighted as (

        select
            *,
            case when not is_control then n * control_n / (n + control_n) end as weight,
            sum((coalesce(n, 0.0) - total / variants) * (coalesce(n, 0.0) - total / variants)) over (
                partition by tenant_id, campaign_id, metric
            ) / nullif(total / variants, 0.0) as chi_square

        from with_control

    ),

    -- Sums over the messages of both variants, whose variance serves as time; null where there is nothing to compare.
    summed as (

        select
            *,
            weight * p as variant_sum,
            weight * control_p as control_sum,
            weight * (p - control_p) as distance,
            weight * weight * variance as variant_variance,
            weight * weight * control_p_variance as control_variance,
            weight * weight * (variance + control_p_variance) as sum_variance,
            case
                when variants > 1
                    then
                        0.5 * (variants - 1) * ln((total + 20.0) / 20.0)
                        - 0.5 * coalesce(chi_square, 0.0) * (total / (total + 20.0))
            end as mismatch_logarithm

        from weighted

    ),

    tested as (

        select
            *,
            {{ mixture_threshold('sum_variance') }} as threshold,
            0.5 * ln((sum_variance + 10.0) / 10.0)
            - distance * distance / (2.0 * (sum_variance + 10.0)) as logarithm

        from summed

    ),

    compared as (

        select
            *,
            {{ p_value_of('logarithm') }} as uncorrected,
            {{ p_value_of('mismatch_logarithm') }} as mismatch,
            count(logarithm) over test as comparisons,
            row_number() over (
                partition by tenant_id, campaign_id, metric
                order by {{ p_value_of('logarithm') }}, variant collate "C"
            ) as place

        from tested
        window test as (partition by tenant_id, campaign_id, metric)

    ),

    -- Holm: the smallest of m p-values times m, the next times m - 1, and none below the one before it.
    corrected as (

        select
            *,
            case
                when uncorrected is not null
                    then least(
                        max(uncorrected * (comparisons + 1 - place)) over (
                            partition by tenant_id, campaign_id, metric order by place rows unbounded preceding
                        ),
                        1.0
                    )
            end as p_value,
            variant_sum * variant_sum - threshold * variant_variance as lift_constant,
            2.0 * variant_sum * control_sum + threshold * 0.5 * 10.0 as lift_middle,
            control_sum * control_sum - threshold * (control_variance + 0.5 * 10.0) as lift_square,
            -- What the control's rate is to be told from: above it, and below it where there is no room above.
            case
                when control_p <= 0.0 or comparisons = 0 then null
                when control_p * (1.0 + {{ minimum_lift }}) <= 1.0 then control_p * (1.0 + {{ minimum_lift }})
                else control_p * (1.0 - {{ minimum_lift }})
            end as other_p

        from compared

    ),

    judged as (

        select
            *,
            p_value <= 0.05 and p > control_p as is_better,
            p_value <= 0.05 and p < control_p as is_worse,
            lift_middle
            + sqrt(greatest(lift_middle * lift_middle - 4.0 * lift_square * lift_constant, 0.0)) as lift_root,
            0.5 * (control_p * (1.0 - control_p) + other_p * (1.0 - other_p)) as size_variance,
            0.05::double precision / nullif(comparisons, 0) as error_rate

        from corrected

    ),

    -- The spread stands in a logarithm only: each step makes its error some twenty times smaller. Without `limit 1`
    -- the planner would write each step into the next one, twice.
    sized as (

        select
            judged.*,
            ceil(2.0 * (step_6.spread - 10.0) / size_variance) as size

        from judged
        cross join lateral (select abs(other_p - control_p) / size_variance as slope limit 1) as sloped
        cross join lateral (select 10.0::double precision as spread limit 1) as step_0
        cross join lateral {{ next_spread('step_0.spread') }} as step_1
        cross join lateral {{ next_spread('step_1.spread') }} as step_2
        cross join lateral {{ next_spread('step_2.spread') }} as step_3
        cross join lateral {{ next_spread('step_3.spread') }} as step_4
        cross join lateral {{ next_spread('step_4.spread') }} as step_5
        cross join lateral {{ next_spread('step_5.spread') }} as step_6

    ),

    -- The control is compared with everybody at once: all of them must be worse, and only one better.
    ruled as (

        select
            *,
            mismatch < 0.01 as is_mismatch,
            case when is_control then comparisons > 0 else uncorrected is not null end as is_comparable,
            case
                when is_control then comparisons > 0 and count(*) filter (where is_worse) over test = comparisons
                else is_better
            end as has_won,
            case
                when is_control then count(*) filter (where is_better) over test > 0
                else is_worse
            end as has_lost

        from sized
        window test as (partition by tenant_id, campaign_id, metric)

    ),

    -- More messages that are split unfairly prove nothing.
    missing as (

        select
            *,
            case
                when is_mismatch or not is_comparable then null
                when has_won or has_lost then 0
                when size > n then (size - n)::bigint
                when size <= n then 0
            end as sample_size_needed

        from ruled

    ),

    final as (

        select
            tenant_id,
            campaign_id,
            variant,
            metric,
            is_control,
            sent,
            successes,
            {{ rate('successes::numeric', 'sent') }} as rate,
            {{ percent(rate_low('n', 's', 'rate_threshold')) }} as rate_low,
            {{ percent('1.0 - ' ~ rate_low('n', '(n - s)', 'rate_threshold')) }} as rate_high,
            case
                when not is_control
                    then {{ rate(
                        '(exact_successes * control_exact_sent - control_exact_successes * exact_sent)',
                        '(exact_sent * control_exact_sent)'
                    ) }}
            end as difference,
            case
                when weight is not null
                    then {{ percent(
                        'greatest(p - control_p - sqrt((sum_variance + 10.0) * threshold) / weight, -1.0)'
                    ) }}
            end as difference_low,
            case
                when weight is not null
                    then {{ percent(
                        'least(p - control_p + sqrt((sum_variance + 10.0) * threshold) / weight, 1.0)'
                    ) }}
            end as difference_high,
            case
                when not is_control
                    then {{ rate(
                        '(exact_successes * control_exact_sent - control_exact_successes * exact_sent)',
                        '(exact_sent * control_exact_successes)'
                    ) }}
            end as lift,
            case
                when control_sum > 0.0
                    then {{ percent('greatest(2.0 * lift_constant / lift_root, 0.0) - 1.0') }}
            end as lift_low,
            case
                when control_sum > 0.0 and lift_square > 0.0
                    then {{ percent('lift_root / (2.0 * lift_square) - 1.0') }}
            end as lift_high,
            round(p_value::numeric, 6) as p_value,
            round(uncorrected::numeric, 6) as uncorrected_p_value,
            round(mismatch::numeric, 6) as mismatch_p_value,
            case
                when is_mismatch then 'mismatch'
                when has_won then 'winner'
                when has_lost or not is_comparable or sample_size_needed = 0 then 'inconclusive'
                else 'no_difference_yet'
            end as verdict,
            size::bigint as sample_size,
            sample_size_needed

        from missing

    )

    select * from final
{%- endmacro %}

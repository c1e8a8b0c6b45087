{# The scores of providers, as in iris_pipelines/domain/provider_ranking, in exact numerics. #}


{# The lower end of the 95 % Wilson interval of a rate, as a percentage; 0 when there was no trial. #}
{% macro wilson_low(successes, trials) -%}
    {%- set square = '1.959964 * 1.959964' -%}
    {%- set failures = '(' ~ trials ~ ' - ' ~ successes ~ ')' -%}
    coalesce(
        100 * (
            2 * {{ successes }} + {{ square }}
            - 1.959964 * sqrt({{ square }} + 4 * {{ successes }} * {{ failures }} / nullif({{ trials }}, 0))
        ) / (2 * ({{ trials }} + {{ square }})),
        0
    )
{%- endmacro %}


{# What four scores come to. #}
{% macro composite_score(delivery, speed, cost, reliability) -%}
    round(0.4 * {{ delivery }} + 0.3 * {{ speed }} + 0.2 * {{ cost }} + 0.1 * {{ reliability }}, 2)
{%- endmacro %}


{# The place by a score among the providers of one channel; names decide between equals. #}
{% macro provider_place(score) -%}
    row_number() over (
        partition by tenant_id, as_of_date, window_days, channel
        order by {{ score }} desc, provider collate "C"
    )
{%- endmacro %}


{# Every row of a relation with its rates, scores and ranks.

   The relation has one row per tenant_id, as_of_date, window_days, channel and provider with total_sent,
   total_delivered, total_events, successful_events (events with success true), avg_delivery_time_ms and
   avg_cost_per_message as they are published; it may have more columns, except those that are added here. #}
{% macro provider_scores(relation) -%}
    with

    rated as (

        select
            *,
            {{ rate('total_delivered', 'total_sent') }} as delivery_rate,
            {{ rate('coalesce(successful_events, 0)', 'total_events') }} as success_rate

        from {{ relation }}

    ),

    scored as (

        select
            *,
            least(coalesce(delivery_rate, 0), 100) as delivery_score,
            case
                when avg_delivery_time_ms is null then 0
                else greatest(0, 100 - avg_delivery_time_ms * 0.001)
            end as speed_score,
            case
                when avg_cost_per_message is null then 0
                else greatest(0, 100 - avg_cost_per_message * 10000)
            end as cost_score,
            coalesce(success_rate, 0) as reliability_score

        from rated

    ),

    -- Of the messages sent no more than all are certain: one sent before the window may be delivered in it.
    composed as (

        select
            *,
            {{ composite_score('delivery_score', 'speed_score', 'cost_score', 'reliability_score') }}
                as composite_score,
            {{ composite_score(
                wilson_low('least(total_delivered, total_sent)::numeric', 'total_sent'),
                'speed_score',
                'cost_score',
                wilson_low('coalesce(successful_events, 0)::numeric', 'total_events')
            ) }} as adjusted_score

        from scored

    ),

    ranked as (

        select
            *,
            {{ provider_place('composite_score') }} as rank,
            {{ provider_place('adjusted_score') }} as adjusted_rank

        from composed

    )

    select * from ranked
{%- endmacro %}

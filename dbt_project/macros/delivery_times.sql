{# Histograms of delivery times: percentiles do not add up over days, buckets do.

   Below 128 ms each millisecond has its own bucket, above they grow by 2 % each, as in DDSketch (Masson et al. 2019):
   the time that stands for a bucket is never more than 1 % from any time in it. Times below zero, of clocks that do not
   agree, mirror those above: no time is without a bucket. #}


{# The bucket of a time in whole milliseconds. #}
{% macro delivery_time_bucket(milliseconds) -%}
    (case
        when {{ milliseconds }} >= 128 then 128 + floor(ln({{ milliseconds }} / 128.0::float8) / ln(1.02::float8))
        when {{ milliseconds }} > -128 then {{ milliseconds }}
        else -128 - floor(ln({{ milliseconds }} / -128.0::float8) / ln(1.02::float8))
    end)::integer
{%- endmacro %}


{# The time in milliseconds that stands for a bucket: the harmonic mean of its ends, within what a bigint holds. #}
{% macro bucket_time(bucket) -%}
    (case
        when abs({{ bucket }}) < 128 then {{ bucket }}::float8
        else sign({{ bucket }}) * least(
            128 * power(1.02::float8, abs({{ bucket }}) - 128) * 2 * 1.02 / 2.02, 9223372036854774784
        )
    end)
{%- endmacro %}


{# The histograms of a relation (columns `buckets` and `counts`) as rows: `histogram.bucket`, `histogram.deliveries`. In the
   columns of a query, arrays are taken apart without keeping what comes out: a fifth cheaper than by a function's rows. #}
{% macro rows_of_histograms(relation) -%}
    cross join lateral (
        select unnest({{ relation }}.buckets) as bucket, unnest({{ relation }}.counts) as deliveries
    ) as histogram
{%- endmacro %}


{# A query on buckets (columns `bucket` and `deliveries`) that gives one row per key, with a column p50_..., p95_... in
   whole milliseconds for each of the percentages: as percentile_cont would give them, to 1 %. #}
{% macro percentiles_of_buckets(relation, keys, percentages=[50, 95, 99], suffix='delivery_time_ms') -%}
    {%- set key = keys | join(', ') -%}
    select
        {{ key }}
        {%- for percentage in percentages %},
        {%- set rank = (percentage ~ ' / 100.0 * (count_of_key - 1)') %}
        {%- set below = 'min(milliseconds) filter (where up_to > floor(' ~ rank ~ '))' %}
        {%- set above = 'min(milliseconds) filter (where up_to > ceil(' ~ rank ~ '))' %}
        {{ whole_ms('(%s + (%s - %s) * (%s - floor(%s)))' | format(below, above, below, rank, rank)) }}
            as p{{ percentage }}_{{ suffix }}
        {%- endfor %}
    from (
        select
            {{ key }},
            {{ bucket_time('bucket') }} as milliseconds,
            sum(sum(deliveries)) over (partition by {{ key }} order by bucket) as up_to,
            sum(sum(deliveries)) over (partition by {{ key }}) as count_of_key
        from {{ relation }}
        group by {{ key }}, bucket
    ) as buckets
    group by {{ key }}, count_of_key
{%- endmacro %}

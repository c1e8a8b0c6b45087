{# Engagement scores, in ninetieths of a point: whole numbers, so that no order of summation matters.

   An event of n days ago is worth points * max(0.1, 1 - n / 90), which is points * max(9, 90 - n) ninetieths. #}


{# The types of events that earn points, by the column that counts them in int_contact_points_daily. #}
{% macro types_that_earn() -%}
    {{ return({
        'delivered': 'message.delivered',
        'opened': 'message.opened',
        'clicked': 'link.clicked',
        'answered': 'call.answered',
        'converted': 'conversion',
    }) }}
{%- endmacro %}


{# One row per contact and date with at least one event in the 90 days up to it: what its events are worth, by type.
   `weighed` is a relation of int_contact_points_daily's rows, each with its `as_of_date`; `facts` all of them. #}
{% macro engagement_parts(weighed, facts) -%}
    select
        tenant_id,
        as_of_date,
        contact_id,
        {{ parts_of_types() }},
        {{ worth('machine_opened', 'message.opened') }} + {{ worth('machine_clicked', 'link.clicked') }}
        as machine_ninetieths,
        -- Hardly any contact has events but none that earns points: only for these, the days before are looked up.
        coalesce(
            max(last_engagement_at),
            (
                select max(earlier.last_engagement_at) from {{ facts }} as earlier
                where
                    earlier.tenant_id = weighed.tenant_id
                    and earlier.contact_id = weighed.contact_id
                    and earlier.date < weighed.as_of_date
            )
        ) as last_engagement_at

    from {{ weighed }} as weighed
    group by tenant_id, as_of_date, contact_id
{%- endmacro %}


{# What each type of event is worth to a contact. #}
{% macro parts_of_types() -%}
    {%- for column, event_type in types_that_earn().items() -%}
        {{ worth(column, event_type) }} as {{ column }}_ninetieths{{ ',' if not loop.last }}
    {% endfor -%}
{%- endmacro %}


{# What the events that a column counts are worth after decay. Most rows have none, and skipping these is cheaper. #}
{% macro worth(column, event_type) -%}
    coalesce(
        {{ points()[event_type] }}
        * sum({{ column }} * greatest(9, 90 - (as_of_date - date))) filter (where {{ column }} <> 0),
        0
    )
{%- endmacro %}


{# The columns of engagement_scores from the parts of a score. Each part is a difference of two rounded sums, so that
   together they are the score before rounding, to the last of their 12 decimals. #}
{% macro engagement_columns() -%}
    tenant_id,
    as_of_date,
    contact_id,
    ({{ in_points('converted') }})::integer as engagement_score,
    {{ engagement_level(in_points('converted')) }} as engagement_level,
    (({{ sum_up_to('converted') }} - machine_ninetieths + 45) / 90)::integer as human_score,
    {{ points_of_types() }},
    last_engagement_at
{%- endmacro %}


{# The part of each type in the score before rounding. #}
{% macro points_of_types() -%}
    {%- for column in types_that_earn() -%}
        {{ exact_points(column) }}{{ ' - ' ~ exact_points(loop.previtem) if not loop.first }}
        as {{ {'converted': 'conversion'}.get(column, column) }}_points{{ ',' if not loop.last }}
    {% endfor -%}
{%- endmacro %}


{# What the types up to this one are worth: in ninetieths; as a score; in points with 12 decimals. #}
{% macro sum_up_to(column) -%}
    {%- set columns = types_that_earn().keys() | list -%}
    ({{ columns[:columns.index(column) + 1] | join('_ninetieths + ') }}_ninetieths)
{%- endmacro %}


{% macro in_points(column) -%}
    ({{ sum_up_to(column) }} + 45) / 90
{%- endmacro %}


{% macro exact_points(column) -%}
    round({{ sum_up_to(column) }} / 90.0, 12)
{%- endmacro %}


{# The segment of a score. #}
{% macro engagement_level(score) -%}
    case
        when {{ score }} >= 100 then 'high'
        when {{ score }} >= 50 then 'medium'
        when {{ score }} >= 10 then 'low'
        else 'inactive'
    end
{%- endmacro %}


{# Whether scores as of a date are kept as rows: the last 35 days up to the newest day of traffic, and month ends. #}
{% macro is_kept(as_of_date, newest_date) -%}
    ({{ as_of_date }} >= {{ newest_date }} - 35 or extract(day from {{ as_of_date }} + 1) = 1)
{%- endmacro %}


{# analytics.engagement_as_of: the rows of engagement_scores for any date, kept or not, from the same formulas.

   Run by its owner, because analysts read the schema analytics only. Planned anew for each call, so that a tenant and
   a contact are looked up and the conditions on those that were not given vanish. #}
{% macro create_engagement_as_of() -%}
    drop function if exists analytics.engagement_as_of (date, uuid, uuid);
    create function analytics.engagement_as_of (
        as_of date, of_tenant uuid default null, of_contact uuid default null
    ) returns table (
    {%- for column in model.columns.values() %}
        {{ column.name }} {{ column.data_type }}{{ ',' if not loop.last }}
    {%- endfor %}
    )
    language plpgsql stable security definer rows 100000
    set search_path = pg_catalog, pg_temp
    set plan_cache_mode = force_custom_plan
    as $function$
    #variable_conflict use_column
    begin
        return query
        select {{ engagement_columns() }}
        from (
            {{ engagement_parts('(
                select points.*, as_of as as_of_date from ' ~ ref('int_contact_points_daily') ~ ' as points
                where
                    points.date between as_of - 89 and as_of
                    and (of_tenant is null or points.tenant_id = of_tenant)
                    and (of_contact is null or points.contact_id = of_contact)
            )', ref('int_contact_points_daily')) }}
        ) as parts;
    end
    $function$;
    comment on function analytics.engagement_as_of (date, uuid, uuid) is
    'The rows of engagement_scores as of the end of any UTC date; of one tenant or of one contact, if given.'
{%- endmacro %}


{# Scores that are no longer kept. Their dates are looked up in the index: a scan would read all rows. #}
{% macro forget_scores() -%}
    {%- set newest_date = '(select max(date) from ' ~ ref('int_contact_points_daily') ~ ')' -%}
    select set_config('enable_seqscan', 'off', true);
    delete from {{ this }}
    where as_of_date = any(
        array(
            select days.day::date
            from generate_series(
                (select min(as_of_date) from {{ this }})::timestamp, {{ newest_date }}::timestamp, interval '1 day'
            ) as days (day)
            where not {{ is_kept('days.day::date', newest_date) }}
        )
    )
{%- endmacro %}

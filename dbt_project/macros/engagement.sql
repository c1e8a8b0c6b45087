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


{# The parts of a score: one for each type of events, and what machines made of them. #}
{% macro parts_of_a_score() -%}
    {{ return(types_that_earn().keys() | list + ['machine']) }}
{%- endmacro %}


{# What a row of int_contact_points_daily adds to a part before decay. #}
{% macro worth_before_decay(part, row) -%}
    {%- if part == 'machine' -%}
        {{ points()['message.opened'] }} * {{ row }}.machine_opened
        + {{ points()['link.clicked'] }} * {{ row }}.machine_clicked
    {%- else -%}
        {{ points()[types_that_earn()[part]] }} * {{ row }}.{{ part }}
    {%- endif -%}
{%- endmacro %}


{# One row per contact and date with at least one messaging event in the 90 days up to it: what its events are worth, by
   type. `weighed` is a relation of int_contact_points_daily's active rows, each with its `as_of_date`. With the state from
   which engagement_parts_of_next_day goes on: what each part loses until the next day, and the days. #}
{% macro engagement_parts(weighed, with_state=false) -%}
    select
        tenant_id,
        as_of_date,
        contact_id,
        {{ parts_of_types() }},
        {{ worth('machine_opened', 'message.opened') }} + {{ worth('machine_clicked', 'link.clicked') }}
        as machine_ninetieths,
        max(last_engagement_at) as last_engagement_at
        {%- if with_state %},
        count(*)::integer as active_days
        {%- for part in parts_of_a_score() %},
        coalesce(sum({{ worth_before_decay(part, 'weighed') }}) filter (where date >= as_of_date - 80), 0)::integer
        as {{ part }}_fading
        {%- endfor %}
        {%- endif %}

    from {{ weighed }} as weighed
    group by tenant_id, as_of_date, contact_id
{%- endmacro %}


{# The same as of a day, from the relations `day_before`, of these rows, and `today`, `settled` and `gone`, of the facts of
   the day itself, of the one whose events stop fading (81 days ago), and of the one that leaves the window (90 days ago).
   Whoever has events on one of the latter two has a row of the day before. #}
{% macro engagement_parts_of_next_day(as_of_date) -%}
    select
        tenant_id,
        {{ as_of_date }} as as_of_date,
        contact_id,
        {%- for part in parts_of_a_score() %}
        coalesce(day_before.{{ part }}_ninetieths - day_before.{{ part }}_fading, 0)
        + coalesce(90::bigint * ({{ worth_before_decay(part, 'today') }}), 0)
        - coalesce(9::bigint * ({{ worth_before_decay(part, 'gone') }}), 0) as {{ part }}_ninetieths,
        {%- endfor %}
        greatest(
            today.last_engagement_at,
            case
                when day_before.last_engagement_at >= ({{ as_of_date }} - 89)::timestamp at time zone 'UTC'
                    then day_before.last_engagement_at
            end
        ) as last_engagement_at,
        coalesce(day_before.active_days, 0)
        + (today.date is not null)::integer
        - (gone.date is not null)::integer as active_days
        {%- for part in parts_of_a_score() %},
        coalesce(day_before.{{ part }}_fading, 0)
        + coalesce({{ worth_before_decay(part, 'today') }}, 0)
        - coalesce({{ worth_before_decay(part, 'settled') }}, 0) as {{ part }}_fading
        {%- endfor %}

    from day_before
    full join today using (tenant_id, contact_id)
    left join settled using (tenant_id, contact_id)
    left join gone using (tenant_id, contact_id)
    where today.date is not null or gone.date is null or day_before.active_days > 1
{%- endmacro %}


{# Whether a single day can go on from the rows of the day before: these are there, and not noted as stale. What made them
   stale is committed with the facts that this statement reads, or it sees neither. Every Monday is computed from all of
   its days, so that rows that somebody spoiled are healed within a week. #}
{% macro day_before_is_right(range, rows) -%}
    {%- set consumer = (rows | string | replace('"', '')).split('.')[-2:] | join('.') -%}
    (
        {{ first_day(range) }} = {{ last_day(range) }}
        and extract(isodow from {{ first_day(range) }}) <> 1
        and exists (select 1 from {{ rows }} as held where held.as_of_date = {{ first_day(range) }} - 1)
        and not exists (
            select 1 from iris.stale_hours as stale
            where
                stale.consumer = '{{ consumer }}'
                and stale.hour >= {{ range[0] }} - interval '24 hours'
                and stale.hour < {{ range[0] }}
        )
    )
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


{# The columns of engagement_scores from `parts`. What each type earned is a difference of two rounded sums, so that
   together they are the score before rounding, to the last of their 12 decimals. An engagement before the window is looked
   up when it is asked for: it may change, or be erased, long after the score was computed. #}
{% macro engagement_columns() -%}
    tenant_id,
    as_of_date,
    contact_id,
    ({{ in_points('converted') }})::integer as engagement_score,
    {{ engagement_level(in_points('converted')) }} as engagement_level,
    (({{ sum_up_to('converted') }} - machine_ninetieths + 45) / 90)::integer as human_score,
    {{ points_of_types() }},
    coalesce(
        parts.last_engagement_at,
        (
            select max(earlier.last_engagement_at)
            from {{ ref('int_contact_points_daily') }} as earlier
            where
                earlier.tenant_id = parts.tenant_id
                and earlier.contact_id = parts.contact_id
                and earlier.date < parts.as_of_date
        )
    ) as last_engagement_at
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
{% macro scores_are_kept(as_of_date) -%}
    (
        coalesce({{ as_of_date }} >= (select max(date) from {{ ref('int_contact_points_daily') }}) - 35, true)
        or extract(day from {{ as_of_date }} + 1) = 1
    )
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
                    and points.is_active
                    and (of_tenant is null or points.tenant_id = of_tenant)
                    and (of_contact is null or points.contact_id = of_contact)
            )') }}
        ) as parts;
    end
    $function$;
    comment on function analytics.engagement_as_of (date, uuid, uuid) is
    'The rows of engagement_scores as of the end of any UTC date; of one tenant or of one contact, if given.'
{%- endmacro %}

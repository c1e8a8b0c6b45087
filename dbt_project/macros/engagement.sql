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


{# What a row of int_contact_points_daily is worth before decay, by type, and the part of it that machines made. #}
{% macro parts_before_decay() -%}
    {{ return({
        'delivered': points()['message.delivered'] ~ ' * delivered',
        'opened': points()['message.opened'] ~ ' * opened',
        'clicked': points()['link.clicked'] ~ ' * clicked',
        'answered': points()['call.answered'] ~ ' * answered',
        'converted': points()['conversion'] ~ ' * converted',
        'machine': points()['message.opened'] ~ ' * machine_opened + ' ~ points()['link.clicked'] ~ ' * machine_clicked',
    }) }}
{%- endmacro %}


{# One row per contact and date with at least one messaging event in the 90 days up to it: what its events are worth, by
   type. `weighed` is a relation of int_contact_points_daily's active rows, each with its `as_of_date`; `facts` all. With the
   state from which engagement_parts_of_next_day goes on: what each part loses until the next day, and the days. #}
{% macro engagement_parts(weighed, facts, with_state=false) -%}
    select
        tenant_id,
        as_of_date,
        contact_id,
        {{ parts_of_types() }},
        {{ worth('machine_opened', 'message.opened') }} + {{ worth('machine_clicked', 'link.clicked') }}
        as machine_ninetieths,
        coalesce(
            max(last_engagement_at),
            {{ engagement_before('weighed.tenant_id', 'weighed.contact_id', facts, 'weighed.as_of_date') }}
        ) as last_engagement_at
        {%- if with_state %},
        count(*)::integer as active_days
        {%- for column, earned in parts_before_decay().items() %},
        (coalesce(sum({{ earned }}) filter (where date >= as_of_date - 80), 0))::integer as {{ column }}_fading
        {%- endfor %}
        {%- endif %}

    from {{ weighed }} as weighed
    group by tenant_id, as_of_date, contact_id
{%- endmacro %}


{# The same as of a day, from the rows of the day before and the three days of facts that make a difference: the day
   itself, the one whose events stop fading (81 days ago), and the one that leaves the window (90 days ago). #}
{% macro engagement_parts_of_next_day(day_before, days_that_differ, facts, as_of_date) -%}
    {%- set parts = parts_before_decay() -%}
    select
        tenant_id,
        {{ as_of_date }} as as_of_date,
        contact_id,
        {%- for column in parts %}
        coalesce(day_before.{{ column }}_ninetieths - day_before.{{ column }}_fading, 0)
        + coalesce(differing.{{ column }}_ninetieths, 0) as {{ column }}_ninetieths,
        {%- endfor %}
        -- What is older than the window may have changed without a word to the day before.
        case
            when
                greatest(day_before.last_engagement_at, differing.last_engagement_at)
                >= ({{ as_of_date }} - 89)::timestamp at time zone 'UTC'
                then greatest(day_before.last_engagement_at, differing.last_engagement_at)
            else {{ engagement_before(
                'coalesce(day_before.tenant_id, differing.tenant_id)',
                'coalesce(day_before.contact_id, differing.contact_id)',
                facts,
                as_of_date
            ) }}
        end as last_engagement_at,
        coalesce(day_before.active_days, 0) + coalesce(differing.active_days, 0) as active_days
        {%- for column in parts %},
        coalesce(day_before.{{ column }}_fading, 0) + coalesce(differing.{{ column }}_fading, 0) as {{ column }}_fading
        {%- endfor %}

    from {{ day_before }} as day_before
    full join (
        select
            tenant_id,
            contact_id,
            (count(*) filter (where is_new) - count(*) filter (where is_gone))::integer as active_days,
            max(last_engagement_at) filter (where is_new) as last_engagement_at
            {%- for column, earned in parts.items() %},
            coalesce(90 * sum({{ earned }}) filter (where is_new), 0)
            - coalesce(9 * sum({{ earned }}) filter (where is_gone), 0) as {{ column }}_ninetieths,
            (
                coalesce(sum({{ earned }}) filter (where is_new), 0)
                - coalesce(sum({{ earned }}) filter (where is_old), 0)
            )::integer as {{ column }}_fading
            {%- endfor %}

        from (
            select
                *,
                date = {{ as_of_date }} as is_new,
                date = {{ as_of_date }} - 81 as is_old,
                date = {{ as_of_date }} - 90 as is_gone

            from {{ days_that_differ }}
        ) as facts
        group by tenant_id, contact_id
    ) as differing using (tenant_id, contact_id)
    where coalesce(day_before.active_days, 0) + coalesce(differing.active_days, 0) > 0
{%- endmacro %}


{# When a contact had its last event that earns points on an earlier day. Hardly any contact has events, but none of these
   in the window: only for such, it is looked up. #}
{% macro engagement_before(tenant_id, contact_id, facts, as_of_date) -%}
    (
        select max(earlier.last_engagement_at)
        from {{ facts }} as earlier
        where
            earlier.tenant_id = {{ tenant_id }}
            and earlier.contact_id = {{ contact_id }}
            and earlier.date < {{ as_of_date }}
    )
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
                    and points.is_active
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

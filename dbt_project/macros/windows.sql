{# Which windows a run builds.

   With IRIS_REBUILD_ID the run replaces the windows noted under that id in iris.rebuild_windows. Without it, as when an
   analyst calls `dbt build`, it replaces every day that has events or rows, up to the last closed hour. The environment
   is read under `execute` only: it is no part of what dbt parses, so a parsed project serves every run. #}


{# The rebuild that this run belongs to, or none. #}
{% macro rebuild_id() -%}
    {%- if not execute -%}{{ return(none) }}{%- endif -%}
    {%- set id = env_var('IRIS_REBUILD_ID', '') -%}
    {%- if id and not modules.re.fullmatch('[0-9a-fA-F-]{36}', id) -%}
        {%- do exceptions.raise_compiler_error("IRIS_REBUILD_ID must be a UUID, not '" ~ id ~ "'") -%}
    {%- endif -%}
    {{ return(id or none) }}
{%- endmacro %}


{# An instant cut down to whole hours or days of UTC, whatever the session's time zone. #}
{% macro floor_to(length, instant) -%}
    date_bin('{{ length }}', {{ instant }}, timestamptz '2000-01-01 00:00:00+00')
{%- endmacro %}


{# The end of the last closed hour; the hour that is running is never built. #}
{% macro last_closed_hour() -%}
    {{ floor_to('1 hour', 'now()') }}
{%- endmacro %}


{# An instant as text that is a literal and that reads the same in every time zone. #}
{% macro instant_literal(expression) -%}
    to_char({{ expression }} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00'
{%- endmacro %}


{# Two expressions: where the first window of the run starts, and where the last one ends. #}
{% macro run_range() -%}
    {%- if rebuild_id() is none -%}
        {{ return(["timestamptz '-infinity'", last_closed_hour()]) }}
    {%- endif -%}
    {%- set query -%}
        select
            {{ instant_literal('min(window_start)') }} as starts,
            {{ instant_literal('max(window_end)') }} as ends
        from iris.rebuild_windows
        where rebuild_id = '{{ rebuild_id() }}'
    {%- endset -%}
    {%- set range = run_query(query).rows[0] -%}
    {%- if range['starts'] is none -%}
        {#- A rebuild without windows makes the tables and replaces nothing. -#}
        {{ return(["timestamptz 'infinity'", "timestamptz '-infinity'"]) }}
    {%- endif -%}
    {{ return(["timestamptz '" ~ range['starts'] ~ "'", "timestamptz '" ~ range['ends'] ~ "'"]) }}
{%- endmacro %}


{# The condition under which a row of the event log belongs to this run. The compiled model covers all windows at once
   and runs as it stands; the materialization `windowed` puts each window's own bounds in the place of these. #}
{% macro in_window(column) -%}
    {#- The model depends on the event log itself, whose partitions Dagster knows; the view between them has none. -#}
    {%- if not execute -%}{%- do source('iris', 'analytics_events') -%}{%- endif -%}
    {%- set range = run_range() -%}
    ({{ column }} >= {{ range[0] }} and {{ column }} < {{ range[1] }})
{%- endmacro %}


{# The UTC date of an event. The compiled model says it for each row; a window lies within one day, and the materialization
   `windowed` puts that day in the place of this, which spares each event the look-up of the time zone. #}
{% macro date_of_event() -%}
    (timestamp at time zone 'UTC')::date
{%- endmacro %}


{# The condition under which a row of another windowed model belongs to this run, by its date. #}
{% macro in_window_days(column) -%}
    {%- set range = run_range() -%}
    {{ column }} between {{ first_day(range) }} and {{ last_day(range) }}
{%- endmacro %}


{# The dates of this run as a relation; one, when a window is replaced. For rows that depend on the days before. #}
{% macro dates_in_window() -%}
    {%- set range = run_range() -%}
    (select generate_series({{ first_day(range) }}, {{ last_day(range) }}, interval '1 day')::date)
{%- endmacro %}


{% macro first_day(range) -%}
    ({{ range[0] }} at time zone 'UTC')::date
{%- endmacro %}


{% macro last_day(range) -%}
    (({{ range[1] }} - interval '1 microsecond') at time zone 'UTC')::date
{%- endmacro %}


{# The rows of `relation` that lie in a window, as a condition. #}
{% macro rows_in_window(window_column, grain, starts, ends) -%}
    {%- if grain == 'day' -%}
        {{ window_column }} = ({{ starts }} at time zone 'UTC')::date
    {%- else -%}
        {{ window_column }} >= {{ starts }} and {{ window_column }} < {{ ends }}
    {%- endif -%}
{%- endmacro %}


{# The windows that this run replaces in `relation`, in order. Each lies within one UTC day; those of a daily model
   start at midnight, because a day's row is computed from all of its closed hours. #}
{% macro windows_to_replace(relation, window_column, grain) -%}
    {%- set query -%}
        with wanted as (
            {{ all_windows(relation, window_column, grain) if rebuild_id() is none else requested_windows() }}
        ),
        days as (
            select *, {{ floor_to('24 hours', 'window_start') }} as day_start from wanted
        )
        select
            {{ instant_literal('window_start') }} as starts,
            {{ instant_literal('window_end') }} as ends,
            extract(epoch from day_start)::bigint / 86400 as day_number,
            {{ day_is_kept("(day_start at time zone 'UTC')::date") }} as is_kept,
            window_start = {{ floor_to('24 hours' if grain == 'day' else '1 hour', 'window_start') }}
            and window_end = {{ floor_to('1 hour', 'window_end') }}
            and window_end <= day_start + interval '24 hours' as is_whole
        from days
        order by window_start
    {%- endset -%}
    {%- set windows = run_query(query).rows -%}
    {%- for window in windows if not window['is_whole'] -%}
        {%- do exceptions.raise_compiler_error(
            relation ~ " is replaced by whole " ~ grain ~ "s within one UTC day, and the window from "
            ~ window['starts'] ~ " to " ~ window['ends'] ~ " is none"
        ) -%}
    {%- endfor -%}
    {{ return(windows) }}
{%- endmacro %}


{# The windows noted for the rebuild. #}
{% macro requested_windows() -%}
    select
        window_start,
        window_end
    from iris.rebuild_windows
    where rebuild_id = '{{ rebuild_id() }}'
{%- endmacro %}


{# Every day that has events or rows, as far as its hours have closed; of rows that reach back, every day that events
   reach and that is over; but for those whose events are archived. #}
{% macro all_windows(relation, window_column, grain) -%}
    {%- set instant = window_column ~ "::timestamp at time zone 'UTC'" if grain == 'day' else window_column -%}
    {%- set reach_days = model_meta().get('reach_days', 0) -%}
    select
        day as window_start,
        least(day + interval '24 hours', {{ last_closed_hour() }}) as window_end
    from (
        select {{ floor_to('24 hours', 'timestamp') }} + make_interval(days => ahead.days)
        from {{ source('iris', 'analytics_events') }}
        cross join generate_series(0, {{ reach_days }}) as ahead (days)
        union
        select {{ floor_to('24 hours', instant) }} from {{ relation }}
    ) as days (day)
    where {{ "day + interval '24 hours' <=" if reach_days else "day <" }} {{ last_closed_hour() }}{{ and_not_sealed('day') }}
{%- endmacro %}


{# Of an archived day, what is made from events is left alone; what is made from tables is not. #}
{% macro and_not_sealed(day) -%}
    {%- if reads_events() %}
        and not exists (
            select from iris.archived_days as archived
            where archived.restored_at is null and archived.date = ({{ day }} at time zone 'UTC')::date
        )
    {%- endif -%}
{%- endmacro %}


{# A relation cut down to the windows of the rebuild, for tests that need not look at all of history at each run. Days are
   named one by one, so that the planner knows their partitions. #}
{% macro rows_of_rebuild(relation, window_column, grain) -%}
    {%- if grain == 'day' -%}
        {%- set query -%}
            select distinct {{ first_day(['window_start', 'window_end']) }}::text
            from iris.rebuild_windows
            where rebuild_id = '{{ rebuild_id() }}'
        {%- endset -%}
        {%- set days = run_query(query).columns[0].values() -%}
        (
            select *
            from {{ relation }}
            where {{ window_column }} = any('{ {{- days | join(', ') -}} }'::date[])
        ) as rows_of_rebuild
    {%- else -%}
        (
            select windowed.*
            from iris.rebuild_windows as rebuild
            inner join {{ relation }} as windowed
                on {{ rows_in_window('windowed.' ~ window_column, grain, 'rebuild.window_start', 'rebuild.window_end') }}
            where rebuild.rebuild_id = '{{ rebuild_id() }}'
        ) as rows_of_rebuild
    {%- endif -%}
{%- endmacro %}

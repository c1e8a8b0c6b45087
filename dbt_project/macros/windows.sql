{# Which windows a run builds.

   With IRIS_REBUILD_ID the run replaces the windows noted under that id in iris.rebuild_windows. Without it, as when an
   analyst calls `dbt build`, it replaces every day that has events or rows, up to the last closed hour. The environment
   is read under `execute` only: it is no part of what dbt parses, so a parsed project serves every run. #}


{# The rebuild that this run belongs to, or none. #}
{% macro rebuild_id() -%}
    {%- if execute -%}
        {%- set id = env_var('IRIS_REBUILD_ID', '') -%}
        {%- if id and not modules.re.fullmatch('[0-9a-fA-F-]{36}', id) -%}
            {%- do exceptions.raise_compiler_error("IRIS_REBUILD_ID must be a UUID noted in iris.rebuild_windows, not '" ~ id ~ "'") -%}
        {%- endif -%}
        {%- if id -%}{{ return(id) }}{%- endif -%}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}


{# An expression for the end of the last closed hour; the hour that is running is never built. #}
{% macro last_closed_hour() -%}
    date_bin('1 hour', now(), timestamptz '2000-01-01 00:00:00+00')
{%- endmacro %}


{# An instant of the database as a literal that reads the same in every time zone. #}
{% macro instant_literal(expression) -%}
    to_char({{ expression }} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00'
{%- endmacro %}


{# Two expressions: where the first window of the run starts, and where the last one ends. #}
{% macro run_range() -%}
    {%- if rebuild_id() is none -%}
        {{ return(["timestamptz '-infinity'", last_closed_hour()]) }}
    {%- endif -%}
    {%- set range = run_query(
        "select " ~ instant_literal('min(window_start)') ~ " as starts, " ~ instant_literal('max(window_end)') ~ " as ends"
        ~ " from iris.rebuild_windows where rebuild_id = '" ~ rebuild_id() ~ "'"
    ).rows[0] -%}
    {%- if range['starts'] is none -%}
        {#- A rebuild without windows makes the tables and replaces nothing. -#}
        {{ return(["timestamptz 'infinity'", "timestamptz '-infinity'"]) }}
    {%- endif -%}
    {{ return(["timestamptz '" ~ range['starts'] ~ "'", "timestamptz '" ~ range['ends'] ~ "'"]) }}
{%- endmacro %}


{# The condition under which a row of the event log belongs to this run. The compiled model covers all windows at once
   and runs as it stands; the materialization `windowed` puts each window's own bounds in the place of these. #}
{% macro in_window(column) -%}
    {%- set range = run_range() -%}
    ({{ column }} >= {{ range[0] }} and {{ column }} < {{ range[1] }})
{%- endmacro %}


{# The rows of `relation` that lie in a window, as a condition. #}
{% macro rows_in_window(window_column, grain, starts, ends) -%}
    {%- if grain == 'day' -%}
        {{ window_column }} = ({{ starts }} at time zone 'UTC')::date
    {%- else -%}
        {{ window_column }} >= {{ starts }} and {{ window_column }} < {{ ends }}
    {%- endif -%}
{%- endmacro %}


{# The windows that this run replaces in `relation`, in order. Each lies within one UTC day; those of a daily model start
   at midnight, because a day's row is computed from all of its closed hours. #}
{% macro windows_to_replace(relation, window_column, grain) -%}
    {%- set instant = window_column ~ "::timestamp at time zone 'UTC'" if grain == 'day' else window_column -%}
    {%- set query -%}
        with wanted as (
            {%- if rebuild_id() is not none %}
            select window_start, window_end
            from iris.rebuild_windows
            where rebuild_id = '{{ rebuild_id() }}'
            {%- else %}
            select day as window_start, least(day + interval '24 hours', {{ last_closed_hour() }}) as window_end
            from (
                select date_bin('24 hours', timestamp, timestamptz '2000-01-01 00:00:00+00')
                from {{ source('iris', 'analytics_events') }}
                union
                select date_bin('24 hours', {{ instant }}, timestamptz '2000-01-01 00:00:00+00')
                from {{ relation }}
            ) as days (day)
            where day < {{ last_closed_hour() }}
            {%- endif %}
        )
        select
            {{ instant_literal('window_start') }} as starts,
            {{ instant_literal('window_end') }} as ends,
            ((window_start at time zone 'UTC')::date - date '2000-01-01')::text as day_number,
            (
                window_start = date_bin('{{ '24 hours' if grain == 'day' else '1 hour' }}', window_start, timestamptz '2000-01-01 00:00:00+00')
                and window_end = date_bin('1 hour', window_end, timestamptz '2000-01-01 00:00:00+00')
                and window_end <= date_bin('24 hours', window_start, timestamptz '2000-01-01 00:00:00+00') + interval '24 hours'
            ) as is_aligned
        from wanted
        order by window_start
    {%- endset -%}
    {%- set windows = run_query(query).rows -%}
    {%- for window in windows if not window['is_aligned'] -%}
        {%- do exceptions.raise_compiler_error(
            relation ~ " is replaced by windows of whole " ~ grain ~ "s within one UTC day, and not by "
            ~ window['starts'] ~ " to " ~ window['ends']
        ) -%}
    {%- endfor -%}
    {{ return(windows) }}
{%- endmacro %}

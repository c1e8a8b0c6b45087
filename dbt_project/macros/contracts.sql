{# The columns that a contract promises, as an empty query. dbt's own macro warns about `numeric` without a precision,
   which is what we promise on purpose: no rate or sum may overflow its column. #}
{% macro postgres__get_empty_schema_sql(columns) -%}
    select
    {%- for column in columns.values() %}
        cast(null as {{ column['data_type'] }}) as {{ column['name'] }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

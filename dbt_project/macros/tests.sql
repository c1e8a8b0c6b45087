{# Data tests of windowed models look at the rows that the run replaced, when it is a rebuild; else at all of them. #}
{% macro get_where_subquery(relation) -%}
    {%- if rebuild_id() is not none -%}
        {%- for node in graph.nodes.values()
            if node.config.materialized == 'windowed' and node.relation_name == relation.render() -%}
            {%- set meta = node.config.meta -%}
            {{ return(rows_of_rebuild(relation, meta.window_column, meta.grain)) }}
        {%- endfor -%}
    {%- endif -%}
    {{ return(adapter.dispatch('get_where_subquery', 'dbt')(relation)) }}
{%- endmacro %}

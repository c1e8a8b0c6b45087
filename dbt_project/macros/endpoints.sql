{# The endpoint of an API request: its path without the query string, with :id for every part that names one thing.

   Otherwise each message would be an endpoint of its own. Two steps, because the second is dear: the first, for each
   request, folds UUIDs and numbers; the second, for each different outcome of the first, all other ids. #}


{# The path without its query string, with UUIDs and numbers folded. #}
{% macro path_with_ids_folded(path) -%}
    {#- With {8}, {4} and {12} a UUID is four times as dear to look for; no words are three groups of hex. -#}
    {{ parts_folded("split_part(" ~ path ~ ", '?', 1)", '[0-9]+|[0-9a-fA-F]+-[0-9a-fA-F]+-[0-9a-fA-F-]+') }}
{%- endmacro %}


{# The endpoint, from what the first step made of the path; 'unknown' without one. Cut off where an index would end. #}
{% macro endpoint(folded_path) -%}
    {%- set ids = [
        '[+]?[0-9]+(?:-[0-9]+)*',
        '[0-9a-fA-F]{16,}',
        '(?=[^/]*[0-9])[0-9a-fA-F]{8,15}',
        '(?=[^/]*[0-9][^/]*[0-9])(?:[A-Za-z]+[_-])*[A-Za-z0-9]{16,}',
        '(?=[^/]*[0-9])(?=[^/]*[a-z])(?=[^/]*[A-Z])[A-Za-z0-9_-]{20,}',
        '[^/]*(?:@|%40)[^/]*',
    ] -%}
    left(coalesce(nullif({{ parts_folded(folded_path, ids | join('|')) }}, ''), 'unknown'), 400)
{%- endmacro %}


{# A path with :id for each part that one of the patterns matches. That nothing but a slash may follow costs much less to
   look for than that a slash or the end must. #}
{% macro parts_folded(path, pattern) -%}
    regexp_replace({{ path }}, '/(?:{{ pattern }})(?![^/])', '/:id', 'g')
{%- endmacro %}

{# A sentence about single rows that must be true; one that is NULL is not. #}
{% test holds(model, expression) %}

select *
from {{ model }}
where not coalesce({{ expression }}, false)

{% endtest %}

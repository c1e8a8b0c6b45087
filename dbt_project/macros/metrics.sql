{# Formulas that several models share. #}


{# A percentage with 2 decimals, rounded half away from zero; NULL when there is nothing to divide by. #}
{% macro rate(numerator, denominator) -%}
    round(100.0 * {{ numerator }} / nullif({{ denominator }}, 0), 2)
{%- endmacro %}

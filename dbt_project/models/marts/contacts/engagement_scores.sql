{{ config(post_hook="{{ create_engagement_as_of() }}") }}

-- depends_on: {{ ref('int_contact_points_daily') }}

select
    {{ engagement_columns() }}

from {{ ref('int_engagement_parts') }}

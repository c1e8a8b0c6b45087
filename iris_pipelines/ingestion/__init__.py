"""How events come in: read, validated, deduplicated, stored, with their effects on messages and contacts."""

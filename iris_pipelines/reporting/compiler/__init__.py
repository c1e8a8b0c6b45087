"""From a definition to one SQL statement: fragments that we wrote, and values as parameters."""

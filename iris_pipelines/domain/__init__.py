"""Words, formulas and windows of the domain: no I/O, no framework."""

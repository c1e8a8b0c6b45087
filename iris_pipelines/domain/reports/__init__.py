"""Reports: what one asks for, over which time, and when it is due again. Words and rules only, no I/O."""

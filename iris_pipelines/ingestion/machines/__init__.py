"""Machines among the readers: the rules that find them, at the loading of an event and ever after."""

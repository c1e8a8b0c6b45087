"""The base of every error that a person can do something about."""


class IrisError(Exception):
    """Its message says what is wrong and what to do; the command line prints it without a traceback."""

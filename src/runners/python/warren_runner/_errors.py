"""The exceptions a task may raise or meet.

They carry the module names of their Celery namesakes: results and tracebacks then read as a Celery worker would
have written them, clients rebuild the classes they know, and `outcome_kind` treats both families alike, so that
code which imports them from celery.exceptions works here too.
"""

import sys


class Ignore(Exception):
    """End without storing any result."""

    __module__ = "celery.exceptions"


class Reject(Exception):
    """Hand the message back: to its queue (requeue=True) or to the dead letters."""

    __module__ = "celery.exceptions"

    def __init__(self, reason=None, requeue=False):
        super().__init__(reason, requeue)
        self.reason = reason
        self.requeue = requeue


class Retry(Exception):
    """Raised by `self.retry()`: the task is to run again."""

    __module__ = "celery.exceptions"

    def __init__(self, message=None, exc=None, when=None, max_retries=None):
        super().__init__(message, exc, when)
        self.message = message
        self.exc = exc
        self.when = when                # seconds, a datetime, ISO text, or None: as the worker is configured
        self.max_retries = max_retries  # None: as the worker is configured

    def __str__(self):
        if self.message:
            return self.message
        when = self.when
        if when is None:
            text = "Retry"
        elif isinstance(when, (int, float)):
            text = f"Retry in {when}s"
        else:
            text = f"Retry at {when}"
        return text if self.exc is None else f"{text}: {self.exc!r}"


class MaxRetriesExceededError(Exception):
    """Raised by `self.retry()` without `exc` when the retries are spent."""

    __module__ = "celery.exceptions"


class NotRegistered(KeyError):
    """This runner has no task of that name."""

    __module__ = "celery.exceptions"


class EncodeError(Exception):
    """What a task returned cannot be written as JSON."""

    __module__ = "kombu.exceptions"


class SoftTimeLimitExceeded(Exception):
    """Raised inside a task when its soft time limit passes: clean up and end."""

    __module__ = "billiard.exceptions"


def soft_time_limit_exceeded():
    """A new SoftTimeLimitExceeded, which is also billiard's when the task's code has loaded billiard."""
    theirs = getattr(sys.modules.get("billiard.exceptions"), "SoftTimeLimitExceeded", None)
    if theirs is None:
        return SoftTimeLimitExceeded()
    both = type("SoftTimeLimitExceeded", (SoftTimeLimitExceeded, theirs), {"__module__": "billiard.exceptions"})
    return both()


def outcome_kind(exc):
    """"Retry", "Ignore", "Reject", or "" for an exception that is an error."""
    for cls in type(exc).__mro__:
        if cls.__module__ == "celery.exceptions" and cls.__name__ in ("Retry", "Ignore", "Reject"):
            return cls.__name__
    return ""

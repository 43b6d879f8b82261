"""Write tasks for warren in Python.

    from warren_runner import task

    @task
    def add(x, y):
        return x + y

A worker starts `python3 -m warren_runner -A yourmodule`. See docs/tasks-in-python.md.
"""

from ._errors import Ignore, MaxRetriesExceededError, Reject, Retry, SoftTimeLimitExceeded
from ._tasks import current_task, progress, task

__all__ = [
    "task", "progress", "current_task",
    "Ignore", "Reject", "Retry", "MaxRetriesExceededError", "SoftTimeLimitExceeded",
]

"""No tasks."""

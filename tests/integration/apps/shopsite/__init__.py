"""A Django project with Celery, as both their documentations have it."""
from .celery import app as celery_app

__all__ = ("celery_app",)

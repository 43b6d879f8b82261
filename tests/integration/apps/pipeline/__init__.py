"""A document pipeline as one finds it behind a FastAPI service: uploads are queued, progress is shown, reports follow.

It is an ordinary Celery application; nothing in it knows of warren. test_celery_apps.py runs it under both workers.
"""

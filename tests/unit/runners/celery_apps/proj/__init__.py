"""A project as Celery's first steps show it; the application is in proj.celery and not imported here."""

"""A document service: FastAPI takes the uploads, Celery's tasks work on them. It knows nothing of warren."""

import os

SECRET_KEY = "a-django-secret"
INSTALLED_APPS = ["shopsite.catalog"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["SHOP_DATABASE"]}}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
CELERY_BROKER_URL = os.environ["SHOP_BROKER"]
CELERY_RESULT_BACKEND = os.environ["SHOP_BACKEND"]
CELERY_TASK_TIME_LIMIT = 20
CELERY_TASK_DEFAULT_QUEUE = "shop"

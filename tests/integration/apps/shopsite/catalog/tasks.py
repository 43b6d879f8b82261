from celery import shared_task
from django.db import connection, transaction

from .models import Item


@shared_task(bind=True)
def store(self, name):
    """With the ORM, in a transaction; the table is made by the first."""
    with connection.schema_editor() as schema:
        if Item._meta.db_table not in connection.introspection.table_names():
            schema.create_model(Item)
    with transaction.atomic():
        Item.objects.create(name=name)
    return [Item.objects.filter(name=name).count(), list(self.request.timelimit)]


@shared_task
def is_open():
    """Whether a connection of an earlier task is still there: Celery's set-up for Django closes it."""
    return connection.connection is not None

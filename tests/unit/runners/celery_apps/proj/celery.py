from celery import Celery

app = Celery("proj", broker="amqp://user:broker-secret@broker.example:5673/vhost",
             backend="redis://:backend-secret@redis.example:6380/2", include=["proj.tasks"])
app.autodiscover_tasks(["proj.more"], related_name="jobs")

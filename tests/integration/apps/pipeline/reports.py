from celery import shared_task


@shared_task(bind=True)
def monthly(self, year, month=1):
    return {"year": year, "month": month, "queue": self.request.delivery_info["routing_key"]}

import os
from datetime import timedelta

broker_url = os.environ["PIPELINE_BROKER"]
result_backend = os.environ["PIPELINE_BACKEND"]
broker_transport_options = {"confirm_publish": True}
task_default_queue = "documents"
task_routes = {"pipeline.reports.*": {"queue": "reports"}}
task_track_started = True
task_acks_late = True
worker_prefetch_multiplier = 1
result_expires = timedelta(hours=1)
include = ["pipeline.documents", "pipeline.reports"]

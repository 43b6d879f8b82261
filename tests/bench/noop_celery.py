"""The Celery side of the benchmark: the same no-op task, and a producer.

    celery -A noop_celery worker ...
    python3 noop_celery.py COUNT [confirm]     publishes COUNT tasks, prints {"published": .., "seconds": ..}
"""
import json
import os
import sys
import time

from celery import Celery

app = Celery("bench", broker=os.environ.get("BENCH_BROKER"), backend=os.environ.get("BENCH_BACKEND"))
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    broker_connection_retry_on_startup=False,
)


@app.task(name="bench.noop")
def noop():
    return None


def publish(count, confirm):
    """Times apply_async alone: neither Python's start nor the connection and declaration of the first message."""
    app.conf.broker_transport_options = {"confirm_publish": confirm}
    queue = os.environ["BENCH_QUEUE"]
    with app.producer_pool.acquire(block=True) as producer:
        noop.apply_async(queue=queue, producer=producer)
        began = time.monotonic()
        for _ in range(count - 1):
            noop.apply_async(queue=queue, producer=producer)
        seconds = time.monotonic() - began
    print(json.dumps({"published": count - 1, "seconds": seconds}))


if __name__ == "__main__":
    publish(int(sys.argv[1]), sys.argv[2:] == ["confirm"])

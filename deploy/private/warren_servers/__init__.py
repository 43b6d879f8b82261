"""A RabbitMQ and a Redis of one's own, in a temporary folder, for the demo, the tests and the benchmark.

    with Servers() as servers:
        servers.broker_url()        # amqp://guest:guest@127.0.0.1:23145//
        servers.redis_url(1)        # redis://127.0.0.1:28011/1
        servers.rabbitmq.queues()   # the broker's own counters, current

They run beside whatever the machine already has: own ports, node name, cookie, epmd and data. A keeper process owns them and ends
them when the caller says so, ends, or is killed.
"""
from .options import Options
from .process import Failed, wait_until
from .rabbitmq import RabbitMQ
from .servers import Servers

__all__ = ["Failed", "Options", "RabbitMQ", "Servers", "wait_until"]

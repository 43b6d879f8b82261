"""What a caller may choose about the servers; the keeper gets it as JSON."""
from dataclasses import dataclass, field
from typing import List, Optional


@dataclass
class Options:
    rabbitmq: bool = True
    redis: bool = True
    heartbeat_s: int = 60             # what the broker proposes
    consumer_timeout_ms: int = 1800000
    tick_ms: int = 5000               # how often channels and quorum queues refresh their counters and check time-outs
    plugins: List[str] = field(default_factory=list)
    erl_args: str = ""                # further flags for the Erlang VM, "+S 1:1"
    redis_args: List[str] = field(default_factory=list)
    directory: Optional[str] = None   # an empty folder, made when missing; it stays. None = a temporary one that goes
    keep: bool = False                # leave the folder with logs and data behind
    start_s: int = 90                 # a server that is not ready by then is a failure

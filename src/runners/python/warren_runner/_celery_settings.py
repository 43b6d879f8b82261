"""What a worker needs to know of a Celery application: its settings under Celery's names, its queues, routes, schedule and
tasks, and by name whatever it has set that means nothing here. docs/coming-from-celery.md explains each."""

import datetime
import json
import re

import celery
from celery import Task
from celery.app import defaults

from . import _celery_tls

# For the worker, which honours them or says that it does not.
WORKER_SETTINGS = frozenset("""
    accept_content beat_cron_starting_deadline beat_max_loop_interval broker_connection_timeout broker_heartbeat
    broker_native_delayed_delivery_queue_type broker_transport_options control_exchange control_queue_durable
    control_queue_exclusive control_queue_expires control_queue_ttl enable_utc event_exchange event_queue_durable
    event_queue_exclusive event_queue_expires event_queue_prefix event_queue_ttl redis_backend_health_check_interval
    redis_socket_connect_timeout redis_socket_timeout result_backend_transport_options result_expires result_extended
    result_persistent
    task_acks_late task_acks_on_failure task_acks_on_failure_or_timeout task_acks_on_timeout task_create_missing_queues
    task_create_missing_queue_type task_create_missing_queue_exchange_type task_default_delivery_mode
    task_default_exchange task_default_exchange_type task_default_priority task_default_queue task_default_queue_type
    task_default_rate_limit task_default_routing_key task_ignore_result task_inherit_parent_priority
    task_queue_max_priority task_reject_on_worker_lost task_send_sent_event task_soft_time_limit
    task_store_errors_even_if_ignored task_time_limit task_track_started timezone worker_concurrency
    worker_deduplicate_successful_tasks worker_detect_quorum_queues worker_direct worker_disable_rate_limits
    worker_enable_remote_control worker_max_memory_per_child worker_max_tasks_per_child worker_prefetch_multiplier
    worker_send_task_events worker_soft_shutdown_timeout
    """.split())

# Read by Celery itself inside of the child, as ever: when it starts, when a task sends tasks or waits for results.
CHILD_SETTINGS = re.compile("""
    imports | include | task_(always_eager|annotations|compression|eager_propagates|protocol|publish_retry(_policy)?|serializer
      |store_eager_result|remote_tracebacks|allow_error_cb_on_chord_header)
    | result_(accept_content|backend_(always|base|max).*|cache_max|chord_.*|exchange|exchange_type|backend_thread_safe)
    | broker_(connection_(retry.*|max_retries)|failover_strategy|login_method|pool_limit|use_ssl)
    | worker_(hijack_root_logger|log_format|task_log_format)
    | (database|redis|mongodb|cassandra|s3|gcs|azureblockblob|couchbase|arangodb|cosmosdbsql|elasticsearch|dynamodb|cache)_.*
    | beat_schedule | task_queues | task_routes | broker_(read_|write_)?url | broker_(host|port|user|password|vhost|transport)
    | result_backend | security_.* | event_serializer
    """, re.VERBOSE).fullmatch

# Set, and without effect: the worker names them when it starts.
NO_MEANING = {
    "worker_pool": "tasks run in processes of their own, one for each slot",
    "worker_pool_putlocks": "there is no pool of Celery's here",
    "worker_pool_restarts": "warren control pool_restart always works",
    "worker_autoscaler": "the worker scales by its own --autoscale",
    "worker_consumer": "the worker consumes itself",
    "worker_agent": "the worker has no agent",
    "worker_timer": "the worker has timers of its own",
    "worker_timer_precision": "the worker's timers are exact to the millisecond",
    "worker_lost_wait": "the end of a child is noticed at once",
    "worker_proc_alive_timeout": "see start_timeout of the pool",
    "worker_state_db": "revoked ids are kept by the worker",
    "worker_redirect_stdouts": "output is captured line by line with the id of its task",
    "worker_redirect_stdouts_level": "output is captured line by line with the id of its task",
    "worker_log_color": "see --log-format",
    "worker_cancel_long_running_tasks_on_connection_loss": "a task runs on and is matched with its redelivery",
    "worker_enable_soft_shutdown_on_idle": "an idle worker ends at once",
    "broker_heartbeat_checkrate": "heartbeats are watched all the time",
    "broker_channel_error_retry": "the worker opens channels again",
    "beat_scheduler": "warren beat has a scheduler of its own",
    "beat_schedule_filename": "warren beat keeps its state elsewhere",
    "beat_sync_every": "warren beat writes its state at once",
    "result_compression": "results are not compressed",
}

# Used by Celery in the child, for what tasks send. The worker's own connection and events are like this, whatever is set; any other value is named.
TASKS_ALONE = {
    "broker_connection_retry": ((True,), "the worker tries again for ever; it holds for what tasks send"),
    "broker_connection_retry_on_startup": ((None, True), "the worker tries again for ever"),
    "broker_connection_max_retries": ((None,), "the worker tries again for ever; it holds for what tasks send"),
    "broker_failover_strategy": ((None, "round-robin"), "the worker tries its brokers in turn; it holds for what tasks send"),
    "broker_login_method": ((None, "PLAIN", "AMQPLAIN"),
                            "the worker signs in by name and password, or with the client certificate when its URL has no user"),
    "event_serializer": (("json",), "events of the worker are JSON; it holds for those that tasks send"),
}

_TASK_OPTIONS = ("rate_limit", "max_retries", "default_retry_delay", "time_limit", "soft_time_limit", "acks_late",
                 "acks_on_failure_or_timeout", "acks_on_failure", "acks_on_timeout", "reject_on_worker_lost", "ignore_result",
                 "store_errors_even_if_ignored", "track_started", "send_events", "priority", "delivery_mode", "expires", "queue", "exchange",
                 "routing_key")
# A name that would be Celery's if it knew it.
_LOOKS_LIKE_CELERY = re.compile("(CELERY(BEAT|D)?|TASK|WORKER|RESULT|BROKER|BEAT|EVENT|CONTROL)_.*", re.IGNORECASE).fullmatch


def describe(app):
    """JSON text. It holds the broker's and the backend's passwords."""
    notes = {}
    set_by_app = {name for name in defaults.DEFAULTS if _is_set(app.conf, name)}
    settings = {}
    for name in sorted(set_by_app & WORKER_SETTINGS):
        try:
            settings[name] = plain(_mode(app.conf[name]) if name == "task_default_delivery_mode" else app.conf[name])
        except TypeError:
            notes[name] = f"a value of type {type(app.conf[name]).__name__} is not understood"
    settings.update((name, bool(app.conf[name])) for name in ("broker_use_ssl", "redis_backend_use_ssl") if name in set_by_app)
    _note_unsupported(app, set_by_app, notes)
    fields = {
        "framework": "celery", "version": celery.__version__, "name": app.main,
        "broker": _broker(app, notes), "result_backend": _result_backend(app, notes),
        "settings": settings,
        "default_queue": app.conf.task_default_queue,
        "queues": [_queue(queue) for queue in app.amqp.queues.consume_from.values()],
        "routes": _routes(app, notes),
        "schedule": _schedule(app, notes),
        "tasks": {name: options for name, task in sorted(app.tasks.items()) if (options := _task_options(app, task))},
        "notes": [{"setting": name, "note": note} for name, note in sorted(notes.items())],
    }
    return json.dumps(fields, separators=(",", ":"))


def plain(value):
    """As JSON has it: times in seconds, anything that is a sequence an array. TypeError when it cannot be said."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): plain(item) for key, item in value.items()}
    if type(value).__str__ is not object.__str__ and hasattr(value, "_proxy____args"):  # a lazy text of Django's
        return str(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def _mode(value):
    """As the worker calls it; whatever else it is stays as it is."""
    return {1: "transient", 2: "persistent"}.get(value, value)


def _name(value):
    return getattr(value, "name", value)


def _keys(conf, name):
    """Under which names an application may have set it."""
    keys = {name, defaults._TO_OLD_KEY.get(name, name)}
    if conf.prefix:
        keys |= {conf.prefix + name, (conf.prefix + name).upper()}
    return keys


def _is_set(conf, name):
    conf.finalize()
    keys = _keys(conf, name)
    # The last map holds the defaults, into which early settings are merged too; those are in the first one.
    return any(key in values for values in conf.maps[:-1] for key in keys)


def _note_unsupported(app, set_by_app, notes):
    conf = app.conf
    for name in set_by_app:
        if name in NO_MEANING:
            notes[name] = NO_MEANING[name]
        elif name in TASKS_ALONE:
            harmless, note = TASKS_ALONE[name]
            if conf[name] not in harmless:
                notes[name] = note
        elif name not in WORKER_SETTINGS and not CHILD_SETTINGS(name) and name != "result_serializer":
            notes[name] = "not supported"
    if conf.result_serializer != "json":
        notes["result_serializer"] = f"results are written as JSON, not as {conf.result_serializer}"
    accepted = conf.accept_content or ()
    others = sorted(str(kind) for kind in accepted if kind not in ("json", "application/json"))
    if others:
        notes["accept_content"] = f"only JSON is accepted; messages in {', '.join(others)} go to the dead letters"
    if conf.task_serializer != "json":
        notes["task_serializer"] = f"tasks that this application sends as {conf.task_serializer} cannot be run here"
    known = set().union(*(_keys(conf, name) for name in defaults.DEFAULTS))
    known |= {"prefix", "override_backends", "deprecated_settings"} | set(defaults._TO_NEW_KEY)
    for values in conf.maps[:-1]:
        # A module of settings has all kinds of names in it; what was set one by one, or in a dict, was meant for Celery.
        meant = values is conf.maps[0] or isinstance(values, dict)
        for key in values:
            if isinstance(key, str) and key not in known and (meant or _LOOKS_LIKE_CELERY(key)):
                notes[key] = "not a setting of this version of Celery"


def _broker(app, notes):
    """The URL, an array of them, or None when the application names none."""
    urls = [_celery_tls.broker(url, app.conf.broker_use_ssl, notes) for url in _broker_urls(app)]
    return urls[0] if len(urls) == 1 else urls or None


def _broker_urls(app):
    conf = app.conf
    url = conf.broker_read_url
    if not url:
        return []
    if isinstance(url, str) and "://" not in url:  # CELERY_BROKER_HOST and its like
        return [app.connection_for_read().as_uri(include_password=True)]
    if isinstance(url, str):
        url = [part for part in url.split(";") if part]
    return [str(part) for part in url]


def _result_backend(app, notes):
    url = _backend_url(app, notes)
    if url is not None and url.startswith(("redis:", "rediss:")):
        return _celery_tls.redis(url, app.conf.redis_backend_use_ssl, notes)
    return url


def _backend_url(app, notes):
    conf = app.conf
    url = conf.result_backend
    if not url or url in ("disabled", "disabled://"):
        return None
    if url == "redis":  # with host, port and so on beside it
        user = f"{conf.redis_username or ''}:{conf.redis_password}@" if conf.redis_password else ""
        return f"redis://{user}{conf.redis_host or 'localhost'}:{conf.redis_port or 6379}/{conf.redis_db or 0}"
    if not isinstance(url, str):
        notes["result_backend"] = f"given as {type(url).__name__}; only a URL is understood"
        return None
    if url in ("rpc", "amqp"):
        return f"{url}://"
    return url


def _queue(queue):
    fields = {"name": queue.name, "routing_key": queue.routing_key, "durable": bool(queue.durable),
              "auto_delete": bool(queue.auto_delete), "exclusive": bool(queue.exclusive), **_exchange(queue.exchange)}
    if queue.bindings:
        fields["bindings"] = [{"routing_key": binding.routing_key, **_exchange(binding.exchange)}
                              for binding in sorted(queue.bindings, key=lambda binding: str(binding.routing_key))]
    arguments = dict(queue.queue_arguments or {})
    for option, argument, factor in (("max_priority", "x-max-priority", 1), ("max_length", "x-max-length", 1),
                                     ("max_length_bytes", "x-max-length-bytes", 1), ("expires", "x-expires", 1000),
                                     ("message_ttl", "x-message-ttl", 1000)):
        value = getattr(queue, option, None)
        if value is not None:
            arguments[argument] = int(value * factor)
    fields["arguments"] = {str(key): plain(value) for key, value in arguments.items()}
    return fields


def _exchange(exchange):
    if exchange is None:
        return {"exchange": "", "exchange_type": "direct"}
    return {"exchange": exchange.name, "exchange_type": exchange.type}


def _routes(app, notes):
    """[{"pattern" or "regex", and queue, exchange, routing_key, priority...}], in the order in which they are tried."""
    found = []
    for route in _routers(app):
        if _is_map(route):
            _add_map(app, route, found, notes)
    return found


def has_routers(app):
    """Whether there are routers that _routes cannot put into words: code, or patterns that are more than a POSIX expression can say."""
    return any(not _is_map(route) or any(isinstance(key, re.Pattern) and posix(key) is None for key in dict(route))
               for route in _routers(app))


def _routers(app):
    routes = app.conf.task_routes
    if not routes:
        return ()
    return routes if isinstance(routes, (list, tuple)) else (routes,)


def _is_map(route):
    return isinstance(route, dict) or (isinstance(route, (list, tuple)) and all(_is_pair(pair) for pair in route))


def _is_pair(value):
    return isinstance(value, (list, tuple)) and len(value) == 2


# What Python's expressions have and POSIX has not, or means otherwise.
_MORE_THAN_POSIX = re.compile(r"\(\?|[*+?}][?+]|\\[AbBDZ1-9]|\[[^\]]*\\|/").search


def posix(pattern):
    """The same as a POSIX extended expression, from the start of the name as Celery has it; None when there is none."""
    if pattern.flags & ~re.UNICODE or _MORE_THAN_POSIX(pattern.pattern):
        return None
    return "^(" + pattern.pattern.replace(r"\d", "[0-9]") + ")"


def _add_road(app, fields):
    """A queue behind an exchange that is not direct is reached through it, as producers do."""
    queue = dict.get(app.amqp.queues, fields.get("queue"))
    if queue is not None and queue.exchange is not None and queue.exchange.name and queue.exchange.type != "direct":
        fields.setdefault("exchange", queue.exchange.name)
        fields.setdefault("routing_key", queue.routing_key)


def _add_map(app, routes, found, notes):
    pairs = list(routes.items() if hasattr(routes, "items") else routes)
    # As Celery looks: exact names first, then patterns in their order.
    exact = [pair for pair in pairs if isinstance(pair[0], str) and "*" not in pair[0]]
    for pattern, target in exact + [pair for pair in pairs if pair not in exact]:
        fields = {"pattern": pattern} if isinstance(pattern, str) else {"regex": posix(pattern)}
        if fields.get("regex", "") is None:  # see has_routers
            continue
        if isinstance(target, str):
            target = {"queue": target}
        try:
            for key, value in dict(target).items():
                fields[key] = plain(_name(value) if key in ("queue", "exchange") else value)
            _add_road(app, fields)
        except (TypeError, ValueError):
            notes["task_routes"] = f"the route of {fields.get('pattern') or fields['regex']} is not understood"
            continue
        found.append(fields)


def _schedule(app, notes):
    entries = []
    for name, entry in (app.conf.beat_schedule or {}).items():
        try:
            fields = {"name": str(name), "task": entry["task"], "args": plain(entry.get("args") or ()),
                      "kwargs": plain(entry.get("kwargs") or {}), "options": plain(entry.get("options") or {}),
                      "relative": bool(entry.get("relative", False)), **_when(entry["schedule"])}
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            notes[f"beat_schedule: {name}"] = f"is not understood ({type(exc).__name__})"
            continue
        entries.append(fields)
    return entries


def _field(value):
    """As crontab writes it; Celery also takes a collection of numbers."""
    if isinstance(value, (str, int)):
        return str(value)
    return ",".join(str(number) for number in sorted(value))


def _when(schedule):
    from celery.schedules import crontab, schedule as interval, solar
    if isinstance(schedule, crontab):
        return {"crontab": {field: _field(getattr(schedule, f"_orig_{field}"))
                            for field in ("minute", "hour", "day_of_week", "day_of_month", "month_of_year")}}
    if isinstance(schedule, solar):
        return {"solar": {"event": schedule.event, "lat": schedule.lat, "lon": schedule.lon}}
    if isinstance(schedule, interval):
        return {"every": schedule.run_every.total_seconds()}
    if isinstance(schedule, datetime.timedelta):
        return {"every": schedule.total_seconds()}
    if isinstance(schedule, (int, float)) and not isinstance(schedule, bool):
        return {"every": float(schedule)}
    raise TypeError(type(schedule).__name__)


def _task_options(app, task):
    """What differs from what the application's settings or Celery's defaults give every task."""
    general = {attribute: app.conf.get(setting) for attribute, setting in Task.from_config}
    options = {}
    for name in _TASK_OPTIONS:
        value = getattr(task, name, None)
        default = general[name] if name in general else getattr(Task, name, None)
        if value == default:
            continue
        try:
            options[name] = plain(_mode(value) if name == "delivery_mode" else _name(value) if name in ("queue", "exchange") else value)
        except TypeError:
            options[name] = None
    if "queue" in options:
        _add_road(app, options)
    return options

"""JSON as Celery writes and reads it: ASCII, NaN allowed, and kombu's forms of dates, decimals and UUIDs."""

import json
import sys


def _other(value):
    """Types beyond JSON's own, in the plain form that every version of kombu reads."""
    reducer = getattr(value, "__json__", None)
    if reducer is not None:
        return reducer()
    # A value of such a type means that its module is loaded; no other task pays for the import.
    dt = sys.modules.get("datetime")
    if dt is not None:
        if isinstance(value, dt.datetime):
            text = value.isoformat()
            return text[:-6] + "Z" if text.endswith("+00:00") else text
        if isinstance(value, dt.date):
            return f"{value.isoformat()}T00:00:00"
        if isinstance(value, dt.time):
            return value.isoformat()
    for module, name in (("decimal", "Decimal"), ("uuid", "UUID")):
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(value, kind):
            return str(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _typed(pairs):
    """kombu 5.3 and later wraps such values as {"__type__": ..., "__value__": ...}."""
    if len(pairs) != 2 or "__type__" not in pairs or "__value__" not in pairs:
        return pairs
    from . import _kombu
    return _kombu.unwrap(pairs)


encode = json.JSONEncoder(default=_other).encode
_decode = json.JSONDecoder().decode
_decode_typed = json.JSONDecoder(object_hook=_typed).decode


def decode(text):
    return _decode_typed(text) if '"__type__"' in text else _decode(text)

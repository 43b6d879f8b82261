"""Reads the wrapped values of kombu 5.3 and later. Loaded when the first of them arrives."""

import base64
import datetime
import decimal
import uuid


def _datetime(text):
    # fromisoformat knows "Z" only since Python 3.11.
    return datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


_readers = {
    "datetime": _datetime,
    "date": lambda text: datetime.datetime.fromisoformat(text).date(),
    "time": datetime.time.fromisoformat,
    "decimal": decimal.Decimal,
    "uuid": lambda fields: uuid.UUID(**fields),
    "bytes": lambda text: text.encode("utf-8"),
    "base64": lambda text: base64.b64decode(text.encode("ascii")),
}


def unwrap(pairs):
    reader = _readers.get(pairs["__type__"]) if isinstance(pairs["__type__"], str) else None
    if reader is None:
        raise ValueError(f"cannot read a value of type {pairs['__type__']!r}; known are {', '.join(sorted(_readers))}")
    return reader(pairs["__value__"])

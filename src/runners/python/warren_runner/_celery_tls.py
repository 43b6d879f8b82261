"""broker_use_ssl and redis_backend_use_ssl become parts of the URLs that a worker is told: the scheme, and where the certificates lie."""

import ssl
from urllib.parse import parse_qs, quote

_BROKER = {"ca_certs": "cacertfile", "certfile": "certfile", "keyfile": "keyfile"}
_REDIS = {"ssl_ca_certs": "ssl_ca_certs", "ssl_certfile": "ssl_certfile", "ssl_keyfile": "ssl_keyfile"}
_SECURE = {"amqp": "amqps", "pyamqp": "amqps", "": "amqps", "redis": "rediss"}
# The worker picks versions and ciphers by the rules of the machine, and sends and checks the name of the host always.
_NEEDLESS = {"ssl_version", "ciphers", "server_hostname", "ssl_check_hostname", "server_side", "do_handshake_on_connect",
             "suppress_ragged_eofs"}


def broker(url, setting, notes):
    return _with(url, setting, notes, "broker_use_ssl", _BROKER, "cert_reqs", "verify", ("verify_none", "verify_peer"))


def redis(url, setting, notes):
    return _with(url, setting, notes, "redis_backend_use_ssl", _REDIS, "ssl_cert_reqs", "ssl_cert_reqs", ("none", "required"))


def _is_off(value):
    """Whether nothing is verified, in the words of ssl, of redis-py and of Celery's URLs."""
    return value == ssl.CERT_NONE or str(value).lower() in ("none", "cert_none") and value is not None


def _with(url, setting, notes, name, files, reqs, verify, words):
    """What the URL says itself counts rather than the setting."""
    if not setting:
        return url
    scheme, _, rest = url.rpartition("://")
    rest, _, query = rest.partition("?")
    has = parse_qs(query)
    more = {}
    options = dict(setting) if isinstance(setting, dict) else {}
    for key, value in options.items():
        if key in files:
            more[files[key]] = str(value or "")
        elif key == reqs:
            more[verify] = words[0] if _is_off(value) else words[1]
        elif key not in _NEEDLESS and value is not None:
            notes[f"{name}: {key}"] = "is not understood: see --tls-ca-file and its like"
    query = "&".join([query] * bool(query) + [f"{key}={quote(value)}" for key, value in more.items() if value and key not in has])
    return f"{_SECURE.get(scheme, scheme)}://{rest}{'?' + query if query else ''}"

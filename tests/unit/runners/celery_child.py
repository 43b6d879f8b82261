"""A child that runs Celery applications, for the tests of the Python runner."""

from worker import CELERY_APPS, closing, python_child, python_with_celery

PYTHON = python_with_celery()

SECRETS = ("broker-secret", "backend-secret", "first-secret", "second-secret", "pass-word", "secret-file", "django-secret")


def celery_child(*modules, **more):
    return python_child(*modules, cwd=more.pop("cwd", CELERY_APPS), python=PYTHON, **more)


def hello_of(*modules, **more):
    with closing(celery_child(*modules, **more)) as child:
        hello = child.frame()["hello"]
        child.send({"stop": {}})
        assert child.wait() == 0
        said = child.output() + child.errors()
        assert not [secret for secret in SECRETS if secret in said], said
        return hello


def members(value):
    """Names of members on all levels that the protocol names."""
    if not isinstance(value, dict):
        return None
    return {key: None if key in ("result", "meta", "kwargs", "headers") else members(inner) for key, inner in value.items()}

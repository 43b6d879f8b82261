"""The Python side of the benchmark's no-op task, for `warren worker -A noop`."""
from warren_runner import task


@task(name="bench.noop")
def noop():
    return None

"""For all tests: those marked `slow` run with WARREN_CHAOS=full alone."""
import os


def pytest_collection_modifyitems(config, items):
    if os.environ.get("WARREN_CHAOS") == "full":
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]

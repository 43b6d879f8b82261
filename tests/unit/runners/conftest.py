"""With --tap each test prints one TAP line, for `make check`."""

import sys

sys.dont_write_bytecode = True


def pytest_addoption(parser):
    parser.addoption("--tap", action="store_true", help="print TAP to stdout")


def pytest_configure(config):
    if config.getoption("--tap"):
        config.pluginmanager.register(Tap(), "tap")


class Tap:
    def __init__(self):
        self.count = 0

    def pytest_runtest_logreport(self, report):
        # One line a test: its call, or whatever part before or after it did not pass.
        if report.when != "call" and report.passed:
            return
        self.count += 1
        path, _, test = report.nodeid.partition("::")
        name = f"{path.rpartition('/')[2]}::{test}"
        if report.skipped:
            line = f"ok {self.count} {name} # SKIP {report.longrepr[2]}"
        else:
            line = f"{'ok' if report.passed else 'not ok'} {self.count} {name}"
        text = report.longreprtext if report.failed else ""
        self.print("\n".join([line] + [f"# {part}" for part in text.splitlines()]))

    def pytest_sessionfinish(self):
        self.print(f"1..{self.count}")

    @staticmethod
    def print(text):
        sys.__stdout__.write("\n" + text + "\n")
        sys.__stdout__.flush()

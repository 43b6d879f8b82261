"""The shell runner: the protocol page says that a runner takes a few lines, and this one is proof."""

import signal

from worker import TOP, Child, closing


def test_the_shell_runner_speaks_the_protocol():
    with closing(Child(["sh", str(TOP / "src/runners/sh/runner.sh")])) as child:
        hello = child.frame()["hello"]
        assert (hello["protocol"], hello["tasks"]) == (1, ["sh.echo", "sh.fail"])
        assert child.run("sh.echo", "ü \"x\" [y]", [1, {}], kwargs={"k": 1}) == {"result": ["ü \"x\" [y]", [1, {}]]}
        child.process.send_signal(signal.SIGUSR1)
        child.send({"cancel": {"id": "an earlier one", "reason": "revoked"}})
        assert child.run("sh.fail")["error"]["message"] == ["sh.fail failed"]
        child.send({"stop": {}})
        assert child.wait() == 0
        assert child.output() == "running sh.echo\nrunning sh.fail\n"

"""Children that are forked from a template: the same as others for tasks, cheap to start, and safe when the template is not well."""
import os
import signal

import pytest

from warren_servers import wait_until
from harness import alive

MODULE = """
import os, signal, subprocess, sys, time
from warren_runner import task, progress

with open(os.environ["COUNT"], "a") as f:
    f.write("%d\\n" % os.getpid())
print("imported")

@task
def who():
    return [os.getpid(), os.getppid(), os.getsid(0)]

@task
def crash():
    os.kill(os.getpid(), signal.SIGKILL)

@task
def leave(code):
    os._exit(code)

@task
def shout(text):
    print(text)
    print("err " + text, file=sys.stderr)

@task
def wait(path):
    progress(1, 2)
    while not os.path.exists(path):
        time.sleep(0.01)
    return "went on"

@task
def hold():
    held = bytearray(64 << 20)
    return len(held)

@task
def limit():
    import resource
    return resource.getrlimit(resource.RLIMIT_AS)[0]

@task
def spawn():
    return subprocess.Popen(["sleep", "1000"], start_new_session=True).pid

@task
def mark():
    return os.environ["WARREN_CHILD"]
"""


class Forked:
    def __init__(self, worker, client, folder):
        self.worker, self.client, self.folder = worker, client, folder

    def run(self, name, *args, **more):
        return self.send(name, *args, **more).get(timeout=30)

    def send(self, name, *args, **more):
        return self.client.send_task("forks." + name, args, queue="forks", **more)

    def imports(self):
        return [int(line) for line in (self.folder / "count").read_text().split()]

    def template(self):
        """The process that has imported the module last."""
        return self.imports()[-1]


@pytest.fixture
def forked(site, worker, tmp_path):
    def start(*args, conf=None):
        (tmp_path / "forks.py").write_text(MODULE)
        (tmp_path / "count").write_text("")
        env = {"COUNT": str(tmp_path / "count")}
        if conf is None:
            args = ("-A", "forks", "-Q", "forks", "--pass-env", "COUNT", *args)
        else:
            (tmp_path / "warren.yaml").write_text("pools: { forks: { app: forks, queues: [forks], pass_env: [COUNT], %s } }\n" % conf)
        return Forked(worker(*args, env=env, cwd=str(tmp_path)), site.app(), tmp_path)
    return start


def test_the_module_is_imported_once_for_all_children(forked):
    it = forked("-c", "3")
    # One for the question what it is, one for the template.
    assert len(it.imports()) == 2
    pids = set()
    def all_seen():
        pids.update(tuple(result.get(timeout=30)) for result in [it.send("who") for _ in range(6)])
        return len(pids) == 3
    wait_until(all_seen, 20, "all three children")
    assert {parent for _, parent, _ in pids} == {it.template()}
    assert all(pid == session for pid, _, session in pids)
    assert it.worker.lines("pool default: imported")


def test_each_child_is_started_by_itself_when_it_must_not_be_forked(forked):
    it = forked("-c", "2", "--no-fork")
    wait_until(lambda: len(it.imports()) == 3, 20, "each imports it")
    pid, parent, _ = it.run("who")
    assert parent == it.worker.pid


def test_a_pool_says_so_too(forked):
    it = forked(conf="concurrency: 2, fork: false")
    wait_until(lambda: len(it.imports()) == 3, 20, "each imports it")
    assert it.run("who")[1] == it.worker.pid


def test_a_child_that_dies_is_replaced_by_a_fork(forked):
    it = forked("-c", "1", "--max-tasks-per-child", "50")
    pid = it.run("who")[0]
    for name, args, said in (("crash", (), r"signal 9 \(SIGKILL\)"), ("leave", (7,), "exited with code 7")):
        with pytest.raises(Exception, match=said):
            it.run(name, *args)
    assert it.run("who")[0] != pid
    assert len(it.imports()) == 2
    # Four runs each, as max_lost has it.
    assert len(it.worker.lines("the child in slot 0 was killed by signal 9")) == 4
    assert len(it.worker.lines("the child in slot 0 exited with code 7")) == 4


def test_children_are_worn_out_and_replaced(forked):
    it = forked("-c", "1", "--max-tasks-per-child", "1")
    pids = [it.run("who")[0] for _ in range(4)]
    assert len(set(pids)) == 4 and len(it.imports()) == 2
    wait_until(lambda: not any(os.path.exists("/proc/%d" % pid) for pid in pids), 10, "not even zombies are left")


def test_memory_limits_of_a_child(forked):
    it = forked(conf="concurrency: 1, max_memory_per_child: 40M, memory_limit: 2G")
    pid = it.run("who")[0]
    assert it.run("limit") == 2 << 30
    it.run("hold")
    assert it.run("who")[0] == pid  # what is given back does not count


def test_output_belongs_to_its_task(forked):
    it = forked("-c", "2")
    result = it.send("shout", "loud")
    result.get(timeout=30)
    it.worker.wait_line(r"INFO.* forks.shout\[%s\]: loud" % result.id)
    it.worker.wait_line(r"WARNING.* forks.shout\[%s\]: err loud" % result.id)


def test_time_limits_and_termination(forked, tmp_path):
    it = forked("-c", "1")
    for more in ({"time_limit": 0.5}, {"soft_time_limit": 0.3}):
        with pytest.raises(Exception, match="TimeLimitExceeded"):
            it.run("wait", str(tmp_path / "never"), **more)
    result = it.send("wait", str(tmp_path / "never"))
    wait_until(lambda: result.state == "PROGRESS", 20, "it runs")
    result.revoke(terminate=True)
    with pytest.raises(Exception, match="terminated"):
        result.get(timeout=30)
    assert it.run("who")[1] == it.template()


def test_what_a_task_leaves_behind_is_killed(forked):
    it = forked("-c", "1")
    left = it.run("spawn")
    assert alive(left)
    with pytest.raises(Exception, match="SIGKILL"):
        it.run("crash")
    wait_until(lambda: not alive(left), 20, "the process it left is killed")


def test_a_template_that_dies_is_replaced(forked, tmp_path):
    it = forked("-c", "2")
    old = it.template()
    result = it.send("wait", str(tmp_path / "go"))
    wait_until(lambda: result.state == "PROGRESS", 20, "it runs")
    os.kill(old, signal.SIGKILL)
    it.worker.wait_line("the template process was killed by signal 9")
    (tmp_path / "go").write_text("")
    # Its children end with it; what ran is run again.
    assert result.get(timeout=30) == "went on"
    assert it.run("who")[1] == it.template() != old
    wait_until(lambda: len(it.imports()) == 3, 20, "each imports it")


def test_a_template_that_hangs_is_replaced_and_its_children_go_on(forked, tmp_path):
    it = forked(conf="concurrency: 2, start_timeout: 2s")
    old = it.template()
    result = it.send("wait", str(tmp_path / "go"))
    wait_until(lambda: result.state == "PROGRESS", 20, "it runs")
    os.kill(old, signal.SIGSTOP)
    # The other slot loses its child, and nobody says how, nor forks another.
    lost = it.send("crash", max_retries=0)
    it.worker.wait_line("did not answer within 2s")
    with pytest.raises(Exception, match="signal 9|how is not known"):
        lost.get(timeout=30)
    assert it.run("who")[1] == it.template() != old
    (tmp_path / "go").write_text("")
    assert result.get(timeout=30) == "went on"
    assert it.run("who")[1] == it.template()


def test_pool_restart_takes_up_new_code(forked, site):
    it = forked("-c", "2")
    old = it.template()
    site.app().control.broadcast("pool_restart", arguments={"reload": True}, reply=True, timeout=2)
    wait_until(lambda: it.run("who")[1] not in (old, 1) and it.template() != old, 20, "children of a new template")
    wait_until(lambda: not alive(old), 20, "the old one is gone")


def test_a_restart_while_the_template_starts_counts(forked, site):
    """What it has read by then is old: its children would be of code that nobody wants any more."""
    it = forked("-c", "2")
    module = it.folder / "forks.py"
    slow = "import os, time\nopen(os.environ['COUNT'] + '.slow', 'a').close()\ntime.sleep(4)\n" + MODULE
    module.write_text(slow)
    restart = lambda: site.app().control.broadcast("pool_restart", arguments={"reload": True}, reply=True, limit=1, timeout=5)
    restart()
    wait_until((it.folder / "count.slow").exists, 20, "the old code to be read")
    module.write_text(MODULE.replace("return len(held)", "return 'new'"))
    restart()
    assert it.run("hold") == "new"
    assert it.run("who")[1] == it.template()
    assert not it.worker.lines("template process (ended|could not)")


def test_a_module_that_says_it_cannot_be_forked_is_not(site, worker, tmp_path):
    (tmp_path / "gpu.py").write_text(
        "import os, sys, types\nfrom warren_runner import task\n"
        "sys.modules['torch.cuda'] = types.SimpleNamespace(is_initialized=lambda: True)\n@task\ndef who(): return os.getppid()\n")
    w = worker("-A", "gpu", "-Q", "gpu", "-c", "2", cwd=str(tmp_path))
    assert w.lines("has initialised CUDA, which forked children cannot use: each child is started by itself")
    assert site.app().send_task("gpu.who", queue="gpu").get(timeout=20) == w.pid


def test_a_module_that_cannot_be_imported_any_more(forked, tmp_path):
    """The file is broken while the worker runs: what is up stays up, and the log says what is wrong."""
    it = forked("-c", "1")
    (tmp_path / "forks.py").write_text("raise RuntimeError('half an edit')\n")
    os.kill(it.template(), signal.SIGKILL)
    it.worker.wait_line("the template process could not start: .*half an edit")
    (tmp_path / "forks.py").write_text(MODULE)
    assert it.run("who")[1] == it.template()

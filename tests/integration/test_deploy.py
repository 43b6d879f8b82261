"""What is shipped beside the program."""
import os
import re
import shutil
import subprocess

import pytest

from harness import BUILD, C_TASKS, TOP

# Exposures that systemd-analyze may find, times ten; a bare unit has 92. The worker's children are anybody's programs.
UNITS = {"warren-worker@one.service": 40, "warren-beat.service": 25}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
class TestUnit:
    @pytest.fixture(params=sorted(UNITS))
    def unit(self, request, tmp_path):
        """The unit, or an instance of it, with a program that exists."""
        with open(os.path.join(BUILD, "deploy", "systemd", request.param.replace("@one", "@"))) as f:
            lines = f.read().splitlines(keepends=True)
        assert sum(line.startswith("ExecStart=") for line in lines) == 1
        path = tmp_path / request.param
        path.write_text("".join("ExecStart=/bin/true\n" if line.startswith("ExecStart=") else line for line in lines))
        return str(path)

    def test_is_valid(self, unit):
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def test_is_hardened(self, unit):
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=%d" % UNITS[os.path.basename(unit)],
                               "--no-pager", unit], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_bootstrap_explains_itself_and_refuses_nonsense():
    bootstrap = os.path.join(TOP, "bootstrap")
    assert "./bootstrap [COMMAND]" in subprocess.run([bootstrap, "--help"], capture_output=True, text=True, check=True).stdout
    assert subprocess.run([bootstrap, "nonsense"], capture_output=True).returncode == 2


def test_an_installation_works_wherever_it_lies(tmp_path):
    subprocess.run(["make", "-C", BUILD, "install", "DESTDIR=%s" % tmp_path], check=True, capture_output=True)
    (program,) = tmp_path.glob("**/bin/warren")
    module = tmp_path / "shop.py"
    module.write_text("from warren_runner import task\n@task\ndef buy(): pass\n")
    env = {"PATH": "/usr/bin:/bin"}
    for args, names in ((["-A", "shop"], "shop.buy\n"), (["--module", C_TASKS], "add\n")):
        done = subprocess.run([program, "run", "--list", *args], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0 and names in done.stdout, done.stdout + done.stderr
    (readme,) = tmp_path.glob("**/doc/warren/README.md")
    pages = [readme, *readme.parent.glob("docs/*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+\.md)", page.read_text())]
    assert len(links) > 10
    assert [link for page, link in links if not (page.parent / link).exists() and link != "HACKING.md"
            and not link.startswith("tests/")] == []

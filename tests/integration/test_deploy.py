"""What is shipped beside the program."""
import os
import shutil
import subprocess

import pytest

from harness import BUILD, TOP

UNIT = os.path.join(BUILD, "deploy", "systemd", "warren-worker@.service")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
class TestUnit:
    @pytest.fixture
    def unit(self, tmp_path):
        """An instance of the unit, with a program that exists."""
        with open(UNIT) as f:
            lines = f.read().splitlines(keepends=True)
        assert sum(line.startswith("ExecStart=") for line in lines) == 1
        path = tmp_path / "warren-worker@one.service"
        path.write_text("".join("ExecStart=/bin/true\n" if line.startswith("ExecStart=") else line for line in lines))
        return str(path)

    def test_is_valid(self, unit):
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def test_is_hardened(self, unit):
        # The threshold is ten times what is printed: an exposure of 4.0; a bare unit has 9.2.
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=40", "--no-pager", unit],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_bootstrap_explains_itself_and_refuses_nonsense():
    bootstrap = os.path.join(TOP, "bootstrap")
    assert "./bootstrap [COMMAND]" in subprocess.run([bootstrap, "--help"], capture_output=True, text=True, check=True).stdout
    assert subprocess.run([bootstrap, "nonsense"], capture_output=True).returncode == 2

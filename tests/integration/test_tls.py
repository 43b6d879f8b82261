"""TLS to broker and backend: what is verified, and what people are told when it fails. A proxy in front of the plain servers speaks TLS."""
import contextlib
import socket
import ssl
import subprocess
import threading

import pytest


def openssl(*args, **kwargs):
    subprocess.run(["openssl", *args], check=True, capture_output=True, **kwargs)


class Authority:
    """A certificate authority of one test run's own."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = str(folder / "ca.pem")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority",
                "-keyout", str(folder / "ca.key"), "-out", self.ca)

    def issue(self, name, names, days="2"):
        key, request, cert, ext = (str(self.folder / (name + end)) for end in (".key", ".csr", ".pem", ".ext"))
        with open(ext, "w") as f:
            f.write("subjectAltName=" + names + "\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + name, "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", str(self.folder / "ca.key"), "-CAcreateserial",
                "-days", days, "-extfile", ext, "-out", cert)
        return cert, key


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


def pump(source, sink):
    with contextlib.suppress(OSError):
        while True:
            data = source.recv(65536)
            if not data:
                break
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class TlsProxy:
    def __init__(self, port, cert, key, version=None):
        self.target = port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        if version is not None:
            # Old versions are off by policy in Debian's OpenSSL; here they are what is tested.
            self.context.set_ciphers("DEFAULT:@SECLEVEL=0")
            self.context.minimum_version = self.context.maximum_version = version
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        try:
            client = self.context.wrap_socket(plain, server_side=True)
        except (ssl.SSLError, OSError):
            plain.close()
            return
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            threading.Thread(target=pump, args=(server, client), daemon=True).start()
            pump(client, server)

    def close(self):
        self.listener.close()


@pytest.fixture
def tls(site, authority):
    """Starts proxies with this certificate and gives the environment that goes through them."""
    proxies = []

    def start(cert, key, ca=None, version=None):
        env = {"WARREN_TLS_CA_FILE": ca or authority.ca}
        for name, url, scheme in (("WARREN_BROKER", site.broker, "amqps"), ("WARREN_RESULT_BACKEND", site.backend, "rediss")):
            head, port = url.split("://")[1].split("127.0.0.1:")
            digits = port.split("/")[0]
            proxy = TlsProxy(int(digits), cert, key, version)
            proxies.append(proxy)
            env[name] = "%s://%s127.0.0.1:%d%s" % (scheme, head, proxy.port, port[len(digits):])
        return env
    yield start
    for proxy in proxies:
        proxy.close()


def test_a_task_goes_all_the_way_over_tls(warren, worker, tls, authority):
    env = tls(*authority.issue("good", "IP:127.0.0.1"))
    worker("-A", "tasks", "-c", "1", env=env)
    assert warren("send", "add", "2", "3", "--wait", "--timeout", "10s", env=env).stdout == "5\n"


REFUSED = {
    "wrong name": ("IP:127.0.0.9", "2", "127.0.0.1"),
    "expired": ("IP:127.0.0.1", "-1", "expired"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_certificate_that_does_not_fit_is_refused(warren, tls, authority, case):
    names, days, told = REFUSED[case]
    done = warren("send", "add", "2", "3", env=tls(*authority.issue(case.replace(" ", "-"), names, days)), code=3)
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert told in done.stderr and "certificate" in done.stderr, done.stderr


def test_a_certificate_of_an_unknown_authority_is_refused(warren, tls, authority, tmp_path):
    done = warren("send", "add", "2", "3", env=tls(*authority.issue("stranger", "IP:127.0.0.1"), ca=Authority(tmp_path).ca), code=3)
    assert "certificate" in done.stderr, done.stderr


@pytest.mark.filterwarnings("ignore:.*TLSv1_1 is deprecated")
def test_old_versions_are_refused(warren, tls, authority):
    done = warren("send", "add", "2", "3", env=tls(*authority.issue("old", "IP:127.0.0.1"), version=ssl.TLSVersion.TLSv1_1), code=3)
    assert done.stdout == ""


def test_verification_is_off_only_when_asked(warren, worker, tls, authority, tmp_path):
    env = tls(*authority.issue("unverified", "DNS:elsewhere"), ca=Authority(tmp_path).ca)
    env["WARREN_TLS_VERIFY"] = "false"
    worker("-A", "tasks", "-c", "1", env=env)
    assert warren("send", "add", "2", "3", "--wait", "--timeout", "10s", env=env).stdout == "5\n"


def test_tls_to_a_plain_server_says_so(warren, site):
    env = {"WARREN_BROKER": site.broker.replace("amqp://", "amqps://")}
    done = warren("send", "add", "2", "3", env=env, code=3)
    assert len(done.stderr.splitlines()) == 1 and "TLS" in done.stderr, done.stderr


APP = """
import ssl
from celery import Celery
app = Celery("shop", broker={broker!r}, backend={backend!r})
app.conf.update(broker_use_ssl={{"ca_certs": {ca!r}, "cert_reqs": ssl.{reqs}}}, redis_backend_use_ssl={{"ssl_ca_certs": {ca!r}, "ssl_cert_reqs": ssl.{reqs}}})
@app.task
def work(n):
    return n + 1
"""


def test_what_an_application_says_of_tls(site, worker, tls, authority, tmp_path):
    """With URLs that are plain, as its own connections have them."""
    env = tls(*authority.issue("of-app", "IP:127.0.0.1"))
    plain = {name.lower(): env.pop("WARREN_" + key).replace("s://", "://") for name, key in (("broker", "BROKER"), ("backend", "RESULT_BACKEND"))}
    bare = {"WARREN_BROKER": "", "WARREN_RESULT_BACKEND": ""}
    (tmp_path / "shop.py").write_text(APP.format(ca=authority.ca, reqs="CERT_REQUIRED", **plain))
    w = worker("-A", "shop", "-c", "1", env=bare, cwd=str(tmp_path))
    assert site.app().send_task("shop.work", [1]).get(timeout=20) == 2
    assert w.lines("amqps://") and w.lines("rediss://") and not w.lines("shop sets ")
    assert w.stop() == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "shop.py").write_text(APP.format(ca=Authority(tmp_path / "other").ca, reqs="CERT_REQUIRED", **plain))
    w = worker("-A", "shop", "-c", "1", ready=False, env=bare, cwd=str(tmp_path))
    w.wait_line("certificate")
    w.kill()

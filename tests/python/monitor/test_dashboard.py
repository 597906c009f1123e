"""The page and the live server: nothing runs that a run brought, nothing is served but what belongs to it."""

import http.client
import json
import os
import re
import socket
import threading
import time
from html.parser import HTMLParser

import numpy as np
import pytest

from miniten.monitor import Dashboard, MetricsLogger

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u202e"


@pytest.fixture
def runs(tmp_path):
    root = tmp_path / "runs"
    with MetricsLogger(root, EVIL, comment=EVIL) as log:
        for i in range(5):
            log.log(EVIL, i if i else float("nan"), step=10 * i)
            log.log("uneven", i, step=i * i)
        log.log_text(EVIL, EVIL)
        log.log_histogram(EVIL, np.arange(5.0))
        log.log_image(EVIL, np.zeros((2, 3, 3), np.uint8))
        log.log_hyperparams({EVIL: EVIL, "lr": 0.1})
        log.set_tags(EVIL)
    return root, log.run_name


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.data, self._inside = [], [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._inside = dict(attrs).get("id") == "data"
        self.addresses += [v for k, v in attrs if k in ("src", "href")]

    def handle_endtag(self, tag):
        self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.data += data


def test_one_file_with_everything_inside(runs, tmp_path):
    root, run = runs
    out = tmp_path / "page.html"
    size = Dashboard(root).generate(out, title=EVIL)
    text = out.read_text(encoding="utf-8")
    assert size == out.stat().st_size < 500_000
    page = Page(text)
    assert page.addresses == ["data:,"] and page.tags.count("script") == 2 and "img" not in page.tags
    data = json.loads(page.data, parse_constant=pytest.fail)
    [r] = data["runs"]
    assert data["title"] == EVIL and r["params"] == {EVIL: EVIL, "lr": 0.1} and r["meta"]["tags"] == [EVIL] and r["texts"][0]["text"] == EVIL
    import base64

    by_name = {m["name"]: m for m in r["metrics"]}
    values = np.frombuffer(base64.b64decode(by_name[EVIL]["values"]))
    assert np.isnan(values[0]) and values[1:].tolist() == [1, 2, 3, 4] and by_name[EVIL]["steps"] == [0, 10]
    assert np.frombuffer(base64.b64decode(by_name["uneven"]["steps"])).tolist() == [0, 1, 4, 9, 16]
    assert r["images"][0]["src"].startswith("data:image/png;base64,iVBOR")


def test_the_page_asks_nothing_of_the_network(runs):
    text = Dashboard(runs[0]).html()
    found = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", re.sub(r'(?s)<script type="application/json".*?</script>', "", text)))
    assert found == {"http://www.w3.org"}  # a name space, not an address
    assert "default-src 'none'" in text and "eval(" not in text and "innerHTML" not in text


def test_which_runs_are_shown(runs, tmp_path):
    root, run = runs
    with MetricsLogger(root, "other"):
        pass
    d = Dashboard(root)
    assert len(json.loads(Page(d.html()).data)["runs"]) == 2 and len(json.loads(Page(d.html([run])).data)["runs"]) == 1
    for bad in ("../runs", "nothing", "/etc"):
        with pytest.raises(ValueError, match="expected the name of a run"):
            d.generate(tmp_path / "x.html", runs=[bad])
    with pytest.raises(ValueError, match="got an empty list"):
        d.generate(tmp_path / "x.html", runs=[])
    assert not (tmp_path / "x.html").exists()
    Dashboard(tmp_path / "no_runs_here").generate(tmp_path / "x.html")
    assert json.loads(Page((tmp_path / "x.html").read_text()).data)["runs"] == []


def get(server, path, host=None, headers=None):
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    c.putrequest("GET", path, skip_host=True)
    c.putheader("Host", host or f"127.0.0.1:{server.port}")
    for k, v in (headers or {}).items():
        c.putheader(k, v)
    c.endheaders()
    r = c.getresponse()
    body = r.read()
    c.close()
    return r.status, body, r.headers


@pytest.fixture
def live(runs):
    root, run = runs
    with Dashboard(root).live_dashboard(run, port=0, block=False) as server:
        yield server, root, run


def test_live_serves_the_page_and_its_images_and_nothing_else(live, tmp_path):
    server, root, run = live
    (tmp_path / "bait.txt").write_text("bait")
    (root / run / "secret.txt").write_text("bait")
    (root / run / "images" / "bait.png").write_text("bait")
    os.symlink(tmp_path / "bait.txt", root / run / "images" / "000009.png")
    status, body, headers = get(server, "/")
    assert status == 200 and json.loads(Page(body.decode()).data)["live"] and headers["X-Content-Type-Options"] == "nosniff"
    assert get(server, "/images/000000.png")[1][1:4] == b"PNG"
    for path in ("/images/000009.png", "/images/bait.png", "/secret.txt", "/metadata.json", "/images/../secret.txt", "/images/..%2fsecret.txt", "/../../bait.txt", "/%2e%2e/%2e%2e/bait.txt", "//bait.txt",
                 "/images/000000.png/..", "/images/", "/images", f"/{run}", "/..", f"{tmp_path}/bait.txt", "/images/\\..\\secret.txt", "/images/000000.png%00.txt"):
        status, body, _ = get(server, path)
        assert status in (400, 404) and b"bait" not in body.replace(path.encode(), b""), path
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    c.request("POST", "/", body="x=1")
    assert c.getresponse().status == 501


def test_live_answers_this_machine_alone(live):
    server, *_ = live
    assert server.url.startswith("http://127.0.0.1:") and server._http.server_address[0] == "127.0.0.1"
    assert get(server, "/", host="evil.example")[0] == 403
    assert get(server, "/events", host="evil.example:80")[0] == 403
    assert get(server, "/", host=f"localhost:{server.port}")[0] == 200


def read_events(server, offset, want, seconds=20):
    s = socket.create_connection(("127.0.0.1", server.port), timeout=seconds)
    s.sendall(f"GET /events?from={offset} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    got = b""
    while want not in got:
        block = s.recv(65536)
        assert block, got
        got += block
    s.close()
    return got.split(b"\r\n\r\n", 1)[1].decode()


def test_live_pushes_new_points_from_where_the_page_ends(runs):
    root, run = runs
    with MetricsLogger(root, resume=run) as log, Dashboard(root).live_dashboard(run, port=0, block=False) as server:
        offset = json.loads(Page(get(server, "/")[1].decode()).data)["live"]["offset"]
        assert offset == (root / run / "metrics.jsonl").stat().st_size
        threading.Timer(0.2, lambda: (log.log("late", 42.5, 7), log.flush())).start()
        text = read_events(server, offset, b'"late')
        [data] = re.findall(r"event: lines\nid: (\d+)\ndata: (.*)\n", text)
        assert int(data[0]) == (root / run / "metrics.jsonl").stat().st_size
        [line] = [json.loads(x) for x in json.loads(data[1])]
        assert (line["name"], line["step"], line["value"]) == ("late", 7, 42.5)
        assert '{"status": "running"}' in text


def test_a_torn_line_waits_until_it_is_whole(runs):
    root, run = runs
    path = root / run / "metrics.jsonl"
    with Dashboard(root).live_dashboard(run, port=0, block=False) as server:
        offset = path.stat().st_size
        with open(path, "a") as f:
            f.write('{"name":"torn","step":1,')

        def finish():
            with open(path, "a") as f:
                f.write('"value":1,"time":1}\n')

        threading.Timer(0.6, finish).start()
        [data] = re.findall(r"event: lines\nid: \d+\ndata: (.*)\n", read_events(server, offset, b"torn"))
        assert json.loads(json.loads(data)[0])["name"] == "torn"
    read = server.port
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", read), timeout=2)
    server.stop()


def test_live_refuses_what_it_cannot_do(runs):
    root, run = runs
    d = Dashboard(root)
    for bad in ("../bait", "nothing", "", "."):
        with pytest.raises(ValueError, match="expected the name of a run"):
            d.live_dashboard(bad, port=0, block=False)
    with pytest.raises(ValueError, match="a port of 0 to 65535"):
        d.live_dashboard(run, port=70000, block=False)
    with d.live_dashboard(run, port=0, block=False) as server:
        with pytest.raises(OSError, match="expected a free port"):
            d.live_dashboard(run, port=server.port, block=False)
    start = time.monotonic()
    with d.live_dashboard(run, port=0, block=False):
        pass
    assert time.monotonic() - start < 30

"""Runs in a browser: one HTML file, or a page served to this machine that follows a run: docs/monitor/dashboard.md."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from miniten._core import DashboardPages

_LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}
_POLL_SECONDS = 0.25
_QUIET_SECONDS = 10.0
_MOST_BYTES = 1 << 20


class Dashboard:
    """The runs in one folder as a page."""

    def __init__(self, experiments_dir: str | os.PathLike[str] = "./runs") -> None:
        self.experiments_dir = os.fspath(experiments_dir)
        self._pages = DashboardPages(self.experiments_dir)

    def generate(self, output_path: str | os.PathLike[str], runs: Iterable[str] | None = None, title: str = "MiniTen runs") -> int:
        """Writes one HTML file with everything inside, for all runs or those named -> bytes. It opens from file:// and asks no network."""
        if isinstance(runs, str):
            runs = [runs]
        names = None if runs is None else list(runs)
        if names is not None and not names:
            raise ValueError("[Dashboard.generate] expected names of runs, or None for all, got an empty list")
        return self._pages.generate(output_path, names or [], title)

    def html(self, runs: Iterable[str] | None = None, title: str = "MiniTen runs") -> str:
        """The page that generate writes."""
        return self._pages.html(list(runs or []), title)

    def live_dashboard(self, run_name: str, port: int = 8080, host: str = "127.0.0.1", block: bool = True) -> LiveServer:
        """Serves a page that follows a run while it is written. It serves that page, its events and the run's images: nothing else.

        host: only this machine unless told otherwise. port 0 picks a free one. block=False returns the server: .url, .stop().
        """
        server = LiveServer(self._pages, self.experiments_dir, run_name, host, port)
        if not block:
            return server
        print(f"live dashboard: {server.url} (Ctrl+C ends it)", file=sys.stderr)
        try:
            server.wait()
        except KeyboardInterrupt:
            pass
        finally:
            server.stop()
        return server


class LiveServer:
    """A running live dashboard."""

    def __init__(self, pages: DashboardPages, experiments_dir: str, run: str, host: str, port: int) -> None:
        if not 0 <= port <= 65535:
            raise ValueError(f"[live_dashboard] expected a port of 0 to 65535, got {port}")
        pages.live_html(run)  # refuses what is no run before a port is taken
        self.pages, self.run, self.host = pages, run, host
        self.folder = os.path.join(experiments_dir, run)
        self.ended = threading.Event()
        family = {"address_family": __import__("socket").AF_INET6} if ":" in host else {}
        server_class = type("_Server", (_Server,), family)
        try:
            self._http = server_class((host, port), _Handler)
        except OSError as e:
            raise OSError(e.errno, f"[live_dashboard] expected a free port on {host}, got {port}: {e.strerror} (port=0 picks one)") from None
        self._http.live = self
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True, name="miniten-live-dashboard")
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/"

    def wait(self) -> None:
        while self._thread.is_alive():
            self._thread.join(0.5)

    def stop(self) -> None:
        """Ends the server; may be called again."""
        if self.ended.is_set():
            return
        self.ended.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> LiveServer:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    live: LiveServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no error worth printing."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "miniten", ""
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None: ...

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self._secure()
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _secure(self) -> None:
        for name, value in (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"), ("Cache-Control", "no-store"), ("X-Frame-Options", "DENY"),
                            ("Cross-Origin-Resource-Policy", "same-origin")):
            self.send_header(name, value)

    def _refuse(self, status: int, text: str) -> None:
        self._answer(status, "text/plain; charset=utf-8", f"{text}\n".encode())

    def _host_is_ours(self) -> bool:
        """A page elsewhere whose name leads to this machine is not answered."""
        live = self.server.live
        if live.host not in _LOOPBACK:
            return True
        name = (self.headers.get("Host") or "").strip().lower()
        return re.sub(r":\d+$", "", name) in _LOOPBACK

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        live = self.server.live
        if not self._host_is_ours():
            return self._refuse(403, "expected this machine's own name as Host")
        url = urlsplit(self.path)
        try:
            if url.path == "/":
                return self._answer(200, "text/html; charset=utf-8", live.pages.live_html(live.run).encode())
            if url.path == "/events" and self.command == "GET":
                return self._events(url.query)
            if (found := re.fullmatch(r"/(images/[0-9]{1,12}\.png)", url.path)) is not None:
                return self._image(found[1])
        except (ValueError, OSError):
            return self._refuse(404, "the run is gone")
        self._refuse(404, "expected /, /events or /images/<number>.png")

    def _image(self, name: str) -> None:
        folder = os.path.realpath(self.server.live.folder)
        path = os.path.join(folder, name)
        if os.path.realpath(path) != path or not os.path.isfile(path):
            return self._refuse(404, "no such image")
        with open(path, "rb") as f:
            self._answer(200, "image/png", f.read())

    def _events(self, query: str) -> None:
        live = self.server.live
        asked = self.headers.get("Last-Event-ID") or parse_qs(query).get("from", ["0"])[0]
        offset = int(asked) if re.fullmatch(r"[0-9]{1,15}", asked) else 0
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self._secure()
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            self._follow(live, offset)
        except (BrokenPipeError, ConnectionError, TimeoutError, FileNotFoundError):
            pass

    def _follow(self, live: LiveServer, offset: int) -> None:
        quiet, status = time.monotonic(), None
        self.wfile.write(b": follows\n\n")
        self.wfile.flush()
        with open(os.path.join(live.folder, "metrics.jsonl"), "rb") as f:
            while not live.ended.is_set():
                f.seek(offset)
                block = f.read(_MOST_BYTES)
                end = block.rfind(b"\n") + 1
                if end:
                    offset += end
                    lines = [line.decode("utf-8", "replace") for line in block[:end].split(b"\n") if line]
                    self.wfile.write(b"event: lines\nid: %d\ndata: %s\n\n" % (offset, json.dumps(lines).encode()))
                elif len(block) == _MOST_BYTES:  # a line that long: passed over bit by bit
                    offset += len(block)
                now = self._status(live)
                if now != status:
                    status = now
                    self.wfile.write(b"event: metadata\ndata: %s\n\n" % json.dumps({"status": now}).encode())
                if end:
                    quiet = time.monotonic()
                elif time.monotonic() - quiet > _QUIET_SECONDS:
                    quiet = time.monotonic()
                    self.wfile.write(b": still here\n\n")
                self.wfile.flush()
                if len(block) < _MOST_BYTES:
                    live.ended.wait(_POLL_SECONDS)

    @staticmethod
    def _status(live: LiveServer) -> str:
        try:
            with open(os.path.join(live.folder, "metadata.json"), encoding="utf-8") as f:
                return str(json.load(f).get("status", ""))[:200]
        except (OSError, ValueError, AttributeError):
            return ""


__all__ = ["Dashboard", "LiveServer"]

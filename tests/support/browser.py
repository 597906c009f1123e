"""A browser as a judge: Chromium, spoken to over two pipes in its own protocol. Nothing it loads may fail or leave the page unseen."""

import atexit
import base64
import fcntl
import functools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

import pytest

_KEYS = {"Enter": 13, "Escape": 27, " ": 32, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9}


@functools.cache
def browser():
    """The browser, started once. Skips where there is none; in CI that is a failure."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("CI"):
            raise RuntimeError("the judge chromium is not installed (tools/setup.sh judges)")
        pytest.skip("the judge chromium is not installed")
    return Browser(program)


class Browser:
    def __init__(self, program):
        self._folder = tempfile.mkdtemp(prefix="miniten-browser-")
        read, self._write = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in os.pipe())
        self._read, write = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in os.pipe())
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 "--force-color-profile=srgb", "--hide-scrollbars", f"--user-data-dir={self._folder}", "--remote-debugging-pipe", "about:blank"]
        self._process = subprocess.Popen([program, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(3, 4), preexec_fn=lambda: (os.dup2(read, 3), os.dup2(write, 4)))
        os.close(read), os.close(write)
        self._buffer, self._number, self._answers, self._pages = b"", 0, {}, {}
        atexit.register(self._close)

    def _close(self):
        try:
            self.call("Browser.close")
            self._process.wait(10)
        except (OSError, AssertionError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method, session=None, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + 60
        while self._number not in self._answers:
            assert time.monotonic() < end, f"no answer to {method}"
            self.read(0.5)
        answer = self._answers.pop(self._number)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def read(self, seconds):
        """Takes what comes within the time."""
        if not select.select([self._read], [], [], seconds)[0]:
            return
        block = os.read(self._read, 1 << 20)
        assert block, "the browser has ended"
        *messages, self._buffer = (self._buffer + block).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            elif message.get("sessionId") in self._pages:
                self._pages[message["sessionId"]].happened(message["method"], message["params"])

    def page(self, address, width=1200, height=800, dark=False, scale=1):
        """A page of its own, loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session, target)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        page.call("Page.navigate", url=address)
        page.wait("document.readyState === 'complete' && location.href !== 'about:blank'")
        page.settle()
        return page


class Page:
    def __init__(self, browser, session, target):
        self._browser, self._session, self._target = browser, session, target
        self.errors, self.requests = [], []                 # of the console and of scripts; addresses asked for

    def happened(self, event, what):
        if event == "Network.requestWillBeSent" and not what["request"]["url"].startswith("data:"):
            self.requests.append(what["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.errors.append(what["exceptionDetails"].get("exception", {}).get("description", what["exceptionDetails"]["text"]))
        elif event == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning", "assert"):
            self.errors.append(" ".join(str(a.get("value")) for a in what["args"]))
        elif event == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
            self.errors.append(what["entry"]["text"])
        elif event == "Page.javascriptDialogOpening":       # alert() of something hostile
            self.errors.append("dialog: " + what["message"])

    def call(self, method, **parameters):
        return self._browser.call(method, self._session, **parameters)

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]["exception"]["description"]
        return result["result"].get("value")

    def wait(self, expression, seconds=20):
        end = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, f"not within {seconds} s: {expression}"
            self._browser.read(0.02)
        return value

    def settle(self):
        """Until two frames were drawn."""
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def box(self, selector):
        """(left, top, width, height) on the screen of the first that matches."""
        return self.evaluate(f"(e => {{ e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; }})(document.querySelector({json.dumps(selector)}))")

    def mouse(self, x, y, kind="mouseMoved", button="none"):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, clickCount=1 if button == "left" else 0, buttons=1 if button == "left" and kind != "mouseReleased" else 0)

    def click(self, selector):
        x, y, w, h = self.box(selector)
        self.drag((x + w / 2, y + h / 2), (x + w / 2, y + h / 2))

    def drag(self, start, end):
        self.mouse(*start)
        self.mouse(*start, "mousePressed", "left")
        if start != end:
            self.mouse(*end, "mouseMoved", "left")
        self.mouse(*end, "mouseReleased", "left")
        self.settle()

    def key(self, key):
        parameters = {"key": key, "windowsVirtualKeyCode": _KEYS.get(key, ord(key[0].upper()))} | ({"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {})
        self.call("Input.dispatchKeyEvent", type="keyDown", **parameters)
        self.call("Input.dispatchKeyEvent", type="keyUp", **parameters)
        self.settle()

    def type(self, text):
        self.call("Input.insertText", text=text)
        self.settle()

    def text(self, selector):
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def screenshot(self):
        self.settle()
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def close(self):
        self._browser.call("Target.closeTarget", targetId=self._target)

"""Headless Chromium, driven through the two pipes of its DevTools protocol."""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--hide-scrollbars",
    *("--autoplay-policy=no-user-gesture-required", "--remote-debugging-pipe"),
)
PATIENCE = 120.0  # seconds without a word from the browser, on a machine however busy


class Browser:
    """One page, whose requests, errors and downloads are kept.

    ``requests``: URLs that were asked for; ``errors``: exceptions, and errors in the console.
    """

    def __init__(self, folder: Path) -> None:
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._last_id = 0
        self._rest = b""
        # Above 9, so that giving them the numbers 3 and 4 in the child takes neither away.
        ours = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 10) for one in (*os.pipe(), *os.pipe())]
        commands, self._commands, self._events, events = ours
        self._process = subprocess.Popen(
            [
                *("bash", "-c", f'exec "$@" 3<&{commands} 4>&{events}', "bash"),
                *("chromium", *FLAGS, f"--user-data-dir={folder}", "about:blank"),
            ],
            pass_fds=(commands, events),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(events)
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = session["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._commands)
        os.close(self._events)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a command; events that come before it are kept."""
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data) :]
        while True:
            answer = self._next()
            if answer.get("id") == self._last_id:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._keep(answer)

    def open(self, path: Path, width: int = 1300, height: int = 1200) -> None:
        """Open a page from the disk and wait until all of it is there."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("location.protocol === 'file:' && document.readyState === 'complete'")

    def eval(self, expression: str) -> Any:
        """The value of JavaScript, awaited; raises RuntimeError where it throws."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait(self, expression: str) -> None:
        """Until JavaScript is true; raises TimeoutError after `PATIENCE`."""
        end = time.monotonic() + PATIENCE
        while not self.eval(f"Boolean({expression})"):
            if time.monotonic() > end:
                raise TimeoutError(expression)
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        """A true click, in the middle of an element."""
        box = self.eval(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); "
            "one.scrollIntoView({block: 'center', inline: 'center'}); "
            "return one.getBoundingClientRect().toJSON(); })()"
        )
        where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            named = {"type": kind, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", **named, **where)

    def press(self, key: str, times: int = 1) -> None:
        """A true key of the keyboard, such as Tab, ArrowLeft or a space."""
        codes = {"Tab": 9, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39, " ": 32}
        named = {"key": key, "code": "Space" if key == " " else key}
        for _ in range(times):
            for kind in ("rawKeyDown", "keyUp"):
                self.call(
                    "Input.dispatchKeyEvent", type=kind, windowsVirtualKeyCode=codes[key], **named
                )

    def choose(self, selector: str, value: object) -> None:
        """Give a slider or a menu a value, as a user does."""
        self.eval(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); "
            f"one.value = {json.dumps(value)}; for (const kind of ['input', 'change']) "
            "one.dispatchEvent(new Event(kind, {bubbles: true})); })()"
        )

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._events], [], [], PATIENCE)
            data = os.read(self._events, 1 << 20) if ready else b""
            if not data:
                raise RuntimeError(f"chromium says nothing more (exit code {self._process.poll()})")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _keep(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"]))
        elif event.get("method") == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.errors.append(json.dumps(params["args"]))
        elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(json.dumps(params["entry"]))

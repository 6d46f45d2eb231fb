"""A headless Chromium for tests of pages, driven by its DevTools protocol; whatever a page does is on record."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 20.0  # for the browser's start and for each answer
_KEYS = {
    "Enter": (13, "\r"),
    " ": (32, " "),
    "Tab": (9, ""),
    "Escape": (27, ""),
    "ArrowLeft": (37, ""),
    "ArrowRight": (39, ""),
    **{letter: (ord(letter.upper()), letter) for letter in "abcdefghijklmnopqrstuvwxyz0123456789"},
}


def find() -> str | None:
    """The browser's program; `CHROMIUM` names another one."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def browser(program: str, *options: str) -> Iterator[Browser]:
    """A browser with an empty profile, which ends with the block."""
    with tempfile.TemporaryDirectory(prefix="evalwire-browser-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                program,
                "--headless",
                "--no-sandbox",  # as root there is none, and the pages are our own
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-extensions",
                "--hide-scrollbars",
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
                *options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(_address(Path(profile), process), max_size=None, compression=None) as socket:
                yield Browser(socket)
        finally:
            process.terminate()
            try:
                process.wait(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the browser listens: it says so in a file."""
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            port, path = (profile / "DevToolsActivePort").read_text().split()
            return f"ws://127.0.0.1:{port}{path}"
        time.sleep(0.02)
    raise RuntimeError(f"the browser did not start within {SECONDS:.0f} s (exit {process.poll()})")


@dataclass
class Browser:
    """A running browser."""

    socket: ClientConnection
    numbers: Iterator[int] = field(default_factory=itertools.count)
    pages: dict[str, Page] = field(default_factory=dict)

    def ask(self, method: str, *, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        number = self._send(method, session, parameters)
        deadline = time.monotonic() + SECONDS
        while True:
            message = self.listen(deadline - time.monotonic())
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]

    def listen(self, timeout: float) -> dict[str, Any]:
        """The next message; one of a page is put on its record, and a dialog is closed."""
        message = json.loads(self.socket.recv(timeout=max(timeout, 0)))
        if page := self.pages.get(message.get("sessionId", "")):
            page.events.append(message)
            if message.get("method") == "Page.javascriptDialogOpening":
                self._send("Page.handleJavaScriptDialog", page.session, {"accept": True})
        return message

    def _send(self, method: str, session: str | None, parameters: dict[str, Any]) -> int:
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        self.socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        return number

    @contextlib.contextmanager
    def page(self, *, width: int = 1280, height: int = 900, dark: bool = False, scripts: bool = True) -> Iterator[Page]:
        """An empty page."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session)
        try:
            for domain in ("Page", "Runtime", "Network", "Log"):
                page.ask(f"{domain}.enable")
            is_phone = width < 600
            page.ask(
                "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone
            )
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            page.ask("Emulation.setEmulatedMedia", features=[scheme])
            page.ask("Emulation.setScriptExecutionDisabled", value=not scripts)
            yield page
        finally:
            del self.pages[session]
            self.ask("Target.closeTarget", targetId=target)


@dataclass
class Page:
    """A page of a browser, with a record of all that it did."""

    browser: Browser
    session: str
    events: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.browser.ask(method, session=self.session, **parameters)

    def open(self, url: str) -> None:
        """Go to an address and wait until all of it is loaded."""
        seen = len(self.events)
        if error := self.ask("Page.navigate", url=url).get("errorText"):
            raise RuntimeError(f"{url}: {error}")
        deadline = time.monotonic() + SECONDS
        while not any(one.get("method") == "Page.loadEventFired" for one in self.events[seen:]):
            self.browser.listen(deadline - time.monotonic())

    def js(self, expression: str) -> Any:
        """The value of an expression in the page; works with scripts switched off, too."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + SECONDS
        while not self.js(expression):
            assert time.monotonic() < deadline, f"it never became true: {expression}"
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        """Click at the middle of an element with a mouse."""
        query = f"document.querySelector({json.dumps(selector)})"
        self.js(f"{query}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        place = self.js(
            f"(({{x, y, width, height}}) => ({{x: x + width / 2, y: y + height / 2}}))({query}.getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        code, text = _KEYS[key]
        fields = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        self.ask("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **fields)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **fields)

    def write(self, text: str) -> None:
        """Type text into what has the focus."""
        self.ask("Input.insertText", text=text)

    def picture(self, *, whole: bool = False) -> bytes:
        """A PNG of what is seen, or of the whole page."""
        found = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._clip(whole=whole))
        return base64.b64decode(found["data"])

    def _clip(self, *, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    @property
    def requests(self) -> list[str]:
        """Every address that was asked for, the page's own included, and those that its policy refused."""
        return [
            one["params"]["request"]["url"] for one in self.events if one.get("method") == "Network.requestWillBeSent"
        ]

    @property
    def dialogs(self) -> list[str]:
        """What the dialogs said that the page opened."""
        return [one["params"]["message"] for one in self.events if one.get("method") == "Page.javascriptDialogOpening"]

    @property
    def complaints(self) -> list[str]:
        """What the page wrote to the console, its errors, and what its policy refused."""
        found = []
        for one in self.events:
            match one.get("method"):
                case "Runtime.consoleAPICalled":
                    found.append(str(one["params"]["args"]))
                case "Runtime.exceptionThrown":
                    found.append(str(one["params"]["exceptionDetails"]))
                case "Log.entryAdded":
                    found.append(one["params"]["entry"]["text"])
        return found

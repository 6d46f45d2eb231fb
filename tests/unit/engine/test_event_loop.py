"""The watch over the event loop does not hurt what it watches."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def test_looking_at_threads_while_garbage_is_collected_does_not_stand_still():
    """On Python before 3.11.9, a collection within `sys._current_frames` deadlocks the process (CPython gh-106883)."""
    code = """
        import gc, os, threading, time
        from types import SimpleNamespace
        from evalwire.engine.event_loop import Watch
        from evalwire.usercode import Clock

        def deep(levels):
            return deep(levels - 1) if levels else time.sleep(0.0005)

        def work():
            while True:
                deep(3)

        for _ in range(8):
            threading.Thread(target=work, daemon=True).start()
        gc.set_threshold(7, 1, 1)
        thread = SimpleNamespace(ident=threading.get_ident(), broken="")
        watch = Watch(thread, [], clock=Clock(60))
        for number in range(2000):
            for _ in range(number % 7):
                cycle = SimpleNamespace(local=threading.local())  # freed by a collection only
                cycle.local.own, cycle.itself = 1, cycle
            watch.look()
        print("looked", flush=True)
        os._exit(0)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    try:
        out, _ = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        out = "it stands still"
    finally:
        process.kill()
        process.wait()
    assert out == "looked\n"

"""Spans wait while Phoenix is away, as records do, within the limits of the queue and of the job's end."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from opentelemetry.sdk import trace as trace_sdk

from evalwire.errors import PhoenixUnreachable
from evalwire.recording.tracing import delivery
from evalwire.recording.tracing.delivery import Delivery

SPANS = [trace_sdk.TracerProvider().get_tracer("t").start_span(f"s{n}") for n in range(600)]


class Server:
    """Takes spans; raises the errors that it is given first, one a request, and that one for ever where it is alone."""

    def __init__(self, *errors: Exception, for_ever: bool = False) -> None:
        self.errors, self.for_ever = list(errors), for_ever
        self.taken: list[str] = []
        self.tries = 0
        self.came_back = threading.Event()

    def deliver(self, project: str, spans: Sequence[Mapping[str, Any]]) -> int:
        self.tries += 1
        if self.errors:
            raise self.errors[0] if self.for_ever else self.errors.pop(0)
        self.taken += [f"{project} {span['name']}" for span in spans]
        self.came_back.set()
        return 0


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(delivery, "_LONGEST_WAIT_SECONDS", 0.002)
    monkeypatch.setattr(delivery, "_BATCH_SECONDS", 0.01)


def delivered(server: Server, count: int, *, flush: float = 5.0) -> Delivery:
    found = Delivery(server.deliver)
    found.start()
    for span in SPANS[:count]:
        found.put("p", span)
    found.close(lambda: flush)
    return found


@pytest.mark.parametrize("outage", [1, 4, 5, 30])
def test_nothing_is_lost_to_an_outage_however_many_tries_it_takes(outage):
    server = Server(*[PhoenixUnreachable("away")] * outage)
    assert delivered(server, 600).lost == 0
    assert sorted(server.taken) == sorted(f"p s{n}" for n in range(600))
    assert server.taken[:3] == ["p s0", "p s1", "p s2"]


def test_an_outage_in_the_midst_of_a_job_ends_before_the_job_does():
    server = Server(*[PhoenixUnreachable("away")] * 8)
    found = Delivery(server.deliver)
    found.start()
    for span in SPANS[:10]:
        found.put("p", span)
    assert server.came_back.wait(5)
    found.close(lambda: 5.0)
    assert (found.lost, len(server.taken)) == (0, 10)


def test_the_end_of_a_job_does_not_wait_for_ever():
    server = Server(PhoenixUnreachable("away"), for_ever=True)
    began = time.monotonic()
    assert delivered(server, 20, flush=0.05).lost == 20
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("error", [ConnectionError("no"), ValueError("HTTP 500")])
def test_what_is_no_outage_is_tried_a_few_times(error, caplog):
    server = Server(error, for_ever=True)
    assert delivered(server, 20).lost == 20
    assert server.tries == 5
    assert "spans could not be delivered" in caplog.text


def test_the_queue_has_a_limit_and_the_oldest_go_first(monkeypatch):
    monkeypatch.setattr(delivery, "_QUEUE_LIMIT", 300)
    server = Server(PhoenixUnreachable("away"), for_ever=True)
    found = Delivery(server.deliver)
    found.start()
    for span in SPANS:
        found.put("p", span)
    server.errors.clear()
    found.close(lambda: 5.0)
    assert found.lost + len(server.taken) == 600
    assert found.lost >= 300 - 256
    assert server.taken[-1] == "p s599"


def test_one_project_that_is_refused_does_not_hold_another():
    server = Server()

    def deliver(project: str, spans: Sequence[Mapping[str, Any]]) -> int:
        if project == "bad":
            raise ValueError("HTTP 500")
        return server.deliver(project, spans)

    found = Delivery(deliver)
    found.start()
    for span in SPANS[:10]:
        found.put("bad", span)
        found.put("good", span)
    found.close(lambda: 5.0)
    assert (found.lost, len(server.taken)) == (10, 10)

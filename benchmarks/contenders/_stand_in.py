"""A stand-in for Phoenix, which has an experiment and its baseline: it answers from memory and counts requests.

Recording 60,000 runs in a real Phoenix takes 20 minutes. This server runs in a process of its own, so that the
processor time of a measured command does not include it.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import re
import socketserver
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

DATASET = "bench"
BASELINE, CURRENT = "RXhwZXJpbWVudDox", "RXhwZXJpbWVudDoy"
STEP = 0.01  # of scores from 0 to 1
_BEGAN = datetime(2026, 11, 20, tzinfo=UTC)


class Recorded:
    """The records of a dataset and two experiments, as Phoenix sends them.

    Args:
        examples: the number of examples.
        repetitions: the number of runs of each example.
        numbers: the number of evaluators that return numbers.
        bools: the number of evaluators that return bools.
        missing: the number of runs that the second experiment does not have.
        text: the number of characters of each input.
        facts: the metadata that evalwire records with the second experiment, in addition to the facts of both.
    """

    def __init__(
        self,
        *,
        examples: int,
        repetitions: int = 1,
        numbers: int = 1,
        bools: int = 0,
        missing: int = 0,
        text: int = 200,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.repetitions = repetitions
        self.names = [f"number_{n}" for n in range(numbers)] + [f"bool_{n}" for n in range(bools)]
        self.examples = [
            {
                "id": f"e{n}",
                "node_id": f"N{n}",
                "input": {"n": n, "text": f"{n:06d}".ljust(text, "x")},
                "output": {"n": n},
                "metadata": {},
                "updated_at": _BEGAN.isoformat(),
            }
            for n in range(examples)
        ]
        self.facts = {BASELINE: {}, CURRENT: dict(facts or {})}
        self.documents = {BASELINE: self._document(1), CURRENT: self._document(2)}
        if missing:
            self.documents[CURRENT] = self.documents[CURRENT][:-missing]
        self.changed: dict[str, Any] = {}

    def _document(self, seed: int) -> list[dict[str, Any]]:
        chance = random.Random(seed)  # noqa: S311 - no secret
        runs = []
        for example in self.examples:
            quality = random.Random(example["id"]).random() ** 0.3  # noqa: S311
            for repetition in range(1, self.repetitions + 1):
                began = _BEGAN + timedelta(hours=seed, seconds=len(runs) / 100)
                times = {"start_time": began.isoformat(), "end_time": (began + timedelta(seconds=1)).isoformat()}
                runs.append(
                    {
                        "example_id": example["node_id"],
                        "repetition_number": repetition,
                        "input": example["input"],
                        "reference_output": example["output"],
                        "output": {"text": "y" * 200},
                        "error": None,
                        "latency_ms": 1000.0,
                        **times,
                        "trace_id": f"{len(runs):032x}",
                        "annotations": [self._annotation(name, chance, quality, times) for name in self.names],
                    }
                )
        return runs

    def _annotation(self, name: str, chance: random.Random, quality: float, times: Mapping[str, str]) -> dict[str, Any]:
        found = min(1.0, max(0.0, quality + chance.gauss(0, 0.1)))
        is_bool = name.startswith("bool")
        score = float(found > 0.5) if is_bool else round(found / STEP) * STEP  # noqa: PLR2004
        return {
            "name": name,
            "annotator_kind": "CODE",
            "score": score,
            "label": str(bool(score)) if is_bool else None,
            "explanation": None,
            "error": None,
            "metadata": {"evalwire": {"kind": "bool" if is_bool else "number"}},
            "trace_id": None,
            **times,
        }

    def experiment(self, id_: str) -> dict[str, Any]:
        """Return the record of an experiment."""
        own = {"experiment": DATASET, "evaluators": dict.fromkeys(self.names, "digest"), "outcome": "passed"}
        runs, expected = len(self.documents[id_]), len(self.examples) * self.repetitions
        created = _BEGAN + timedelta(hours=1 if id_ == BASELINE else 2)
        metadata = {"dataset": DATASET, "run_by": "evalwire", "branch": "main", "evalwire": {**own, **self.facts[id_]}}
        return {
            "id": id_,
            "dataset_id": "D",
            "dataset_version_id": "V",
            "name": f"eval_{DATASET}_{id_}",
            "metadata": self.changed.get(id_, metadata),
            "created_at": created.isoformat(),
            "updated_at": created.isoformat(),
            "repetitions": self.repetitions,
            "project_name": f"P{id_}",
            "example_count": len(self.examples),
            "successful_run_count": runs,
            "failed_run_count": 0,
            "missing_run_count": expected - runs,
        }


_EXPERIMENT = re.compile(r"/v1/experiments/([^/]+)(/[a-z-]+)?$")
_PROJECT = re.compile(r"/v1/projects/[^/]+$")


class StandIn:
    """The responses to requests, and the number of requests of each kind."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self.counts: Counter[str] = Counter()
        self._documents = {id_: json.dumps(runs).encode() for id_, runs in recorded.documents.items()}
        kept = ("repetition_number", "output", "error", "start_time", "end_time", "trace_id")
        self._runs = {
            id_: [
                {"id": f"R{n}", "dataset_example_id": run["example_id"], **{key: run[key] for key in kept}}
                for n, run in enumerate(runs)
            ]
            for id_, runs in recorded.documents.items()
        }

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        """Return the status and the body of a response."""
        path, parameters = urlsplit(target).path, parse_qs(urlsplit(target).query)
        if path == "/counts":
            return 200, json.dumps(self.counts).encode()
        self.counts[f"{method} {re.sub('/(RXh|P|D|evalwire-claim)[^/]*', '/ID', path)}"] += 1
        found = self._read(path, parameters) if method == "GET" else self._write(method, path, body)
        if found is None:
            return 404, b'{"detail": "not found"}'
        return 200, found if isinstance(found, bytes) else json.dumps(found).encode()

    def _read(self, path: str, parameters: Mapping[str, list[str]]) -> Any:
        recorded = self._recorded
        dataset = {"id": "D", "name": DATASET, "metadata": {}, "description": None, "example_count": 1}
        stamps = {"created_at": _BEGAN.isoformat(), "updated_at": _BEGAN.isoformat()}
        fixed: dict[str, Any] = {
            "/arize_phoenix_version": b"20.26.1",
            "/v1/datasets": {"data": [{**dataset, **stamps}], "next_cursor": None},
            "/v1/datasets/D": {"data": {**dataset, **stamps}},
            "/v1/datasets/D/versions": {"data": [{"version_id": "V", "metadata": {}, **stamps}], "next_cursor": None},
        }
        if path in fixed:
            return fixed[path]
        if path == "/v1/datasets/D/examples":
            return {
                "data": {"dataset_id": "D", "version_id": "V", "filtered_splits": [], "examples": recorded.examples}
            }
        if path == "/v1/datasets/D/experiments":
            return {"data": [recorded.experiment(CURRENT), recorded.experiment(BASELINE)], "next_cursor": None}
        if _PROJECT.match(path):  # the claim of a pipeline run
            recorded.facts[CURRENT]["claim"] = path.rpartition("/")[2]
            return {"data": {"id": "P", "name": "claim", "description": CURRENT}}
        match = _EXPERIMENT.match(path)
        if match is None or match[1] not in self._documents:
            return None
        if match[2] == "/json":
            return self._documents[match[1]]
        if match[2] == "/runs":
            return self._page(self._runs[match[1]], parameters)
        return {"data": [], "next_cursor": None} if match[2] else {"data": recorded.experiment(match[1])}

    def _page(self, runs: list[dict[str, Any]], parameters: Mapping[str, list[str]]) -> dict[str, Any]:
        start = int(parameters.get("cursor", ["R0"])[0].removeprefix("R"))
        end = start + int(parameters["limit"][0])
        return {"data": runs[start:end], "next_cursor": f"R{end}" if end < len(runs) else None}

    def _write(self, method: str, path: str, body: bytes) -> Any:
        match = _EXPERIMENT.match(path)
        if match and match[2] == "/runs":
            sent = json.loads(body)
            run = {**sent, "id": f"R{len(self._runs[match[1]])}"}
            self._runs[match[1]].append(run)
            self._recorded.documents[match[1]].append(run)  # for the counts
            return {"data": run}
        if match and method == "PATCH":
            self._recorded.changed[match[1]] = json.loads(body)["metadata"]
        return {"data": {"id": "A"}}


@contextmanager
def stand_in(**sizes: Any) -> Iterator[str]:
    """Yield the address of a stand-in that runs in a separate process."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, sizes), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()


def counts_of(url: str) -> dict[str, int]:
    """Return the number of requests of each kind so far."""
    counts: dict[str, int] = httpx.get(f"{url}/counts").json()
    return counts


def _serve(connection: Any, sizes: Mapping[str, Any]) -> None:
    answers = StandIn(Recorded(**sizes))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # a single packet for each small response

        def _respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, found = answers.answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        do_GET = do_POST = do_PATCH = do_DELETE = _respond  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Write nothing."""

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        connection.send(server.server_address[1])
        server.serve_forever()

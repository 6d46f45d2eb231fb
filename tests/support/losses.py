"""What the fault tests saw: faults injected, runs made, records compared, losses; printed when the suite ends."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

KEY = "evalwire_key"  # of an experiment's metadata: which creation it is of

Place = tuple[str, int]  # an example's node id, and the repetition


@dataclass
class Tally:
    """The figures of a session."""

    injected: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    calls: int = 0
    compared: int = 0
    lost: int = 0
    twice: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *, injected: Mapping[str, int] | None = None, **numbers: int) -> None:
        with self._lock:
            self.injected.update(injected or {})
            for name, number in numbers.items():
                setattr(self, name, getattr(self, name) + number)

    def lines(self) -> list[str]:
        """For the end of the suite; none when no fault test ran."""
        if not self.runs:
            return []
        figures = (
            f"{self.injected.total():,} injected, {self.runs:,} runs, {self.calls:,} task calls, "
            f"{self.compared:,} records compared with the journal, {self.lost} lost, {self.twice} twice"
        )
        kinds = ", ".join(f"{number:,} {name}" for name, number in self.injected.most_common())
        return [f"faults: {figures}", f"by kind: {kinds}"]


TALLY = Tally()


@dataclass
class Told:
    """What a journal says, read here on its own terms and not by evalwire's reader.

    Attributes:
        keys: of the creations that were tried.
        ids: of the experiments that were created.
        runs: the last `run` line of each place.
        scores: by place and evaluation name, the last said.
        outputs: every output of every `run` line.
    """

    keys: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    runs: dict[Place, dict[str, Any]] = field(default_factory=dict)
    scores: dict[Place, dict[str, dict[str, Any]]] = field(default_factory=dict)
    outputs: list[Any] = field(default_factory=list)
    end: dict[str, Any] | None = None

    @classmethod
    def read(cls, path: Path) -> Told:
        told = cls()
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            place = (entry.get("example"), entry.get("repetition"))
            match entry["type"]:
                case "create":
                    told.keys.append(entry["metadata"][KEY])
                case "open":
                    told.ids.append(entry["id"])
                case "run":
                    told.runs[place] = entry
                    told.outputs.append(entry["output"])
                case "evaluations":
                    for one in entry["evaluations"]:
                        told.scores.setdefault(place, {})[one["name"]] = one
                case "end":
                    told.end = entry
        return told


class Held:
    """What Phoenix holds, asked directly: past the proxy, and without evalwire's own code or Phoenix's client."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60)

    def close(self) -> None:
        self._http.close()

    def experiments(self, dataset_id: str) -> list[dict[str, Any]]:
        return list(self._pages(f"/v1/datasets/{dataset_id}/experiments", limit=50))

    def runs(self, experiment_id: str) -> list[dict[str, Any]]:
        return list(self._pages(f"/v1/experiments/{experiment_id}/runs", limit=200))

    def scores(self, experiment_id: str) -> dict[Place, dict[str, dict[str, Any]]]:
        """The evaluations, by place and name."""
        response = self._http.get(f"/v1/experiments/{experiment_id}/json")
        if response.status_code == httpx.codes.NOT_FOUND:  # it has no runs
            return {}
        response.raise_for_status()
        return {
            (run["example_id"], run["repetition_number"]): {one["name"]: one for one in run["annotations"]}
            for run in response.json()
        }

    def post_run(self, experiment_id: str, example: str, output: Any, *, repetition: int = 1) -> str:
        """Record a run, as somebody else would."""
        now = "2026-01-01T00:00:00+00:00"
        response = self._http.post(
            f"/v1/experiments/{experiment_id}/runs",
            json={
                "dataset_example_id": example,
                "output": output,
                "repetition_number": repetition,
                "start_time": now,
                "end_time": now,
            },
        )
        response.raise_for_status()
        return str(response.json()["data"]["id"])

    def _pages(self, path: str, *, limit: int) -> Iterable[dict[str, Any]]:
        cursor = None
        while True:
            response = self._http.get(path, params={"limit": limit, **({"cursor": cursor} if cursor else {})})
            response.raise_for_status()
            page = response.json()
            yield from page["data"]
            cursor = page.get("next_cursor")
            if not cursor:
                return


@dataclass(frozen=True)
class Comparison:
    """The journal of one experiment against what Phoenix holds.

    Attributes:
        missing: places, and places with an evaluation's name, that the journal has and Phoenix has not.
        wrong: those where Phoenix holds something else.
        foreign: runs that the journal does not know.
        twice: places with more than one run over all experiments of the dataset.
    """

    experiments: int
    missing: list[Any]
    wrong: list[Any]
    foreign: list[Any]
    twice: list[Any]

    @property
    def is_whole(self) -> bool:
        return not (self.missing or self.wrong or self.foreign or self.twice) and self.experiments == 1


def compare(held: Held, dataset_id: str, told: Told) -> Comparison:
    """Compare each recorded output and score with the journal's."""
    experiments = held.experiments(dataset_id)
    runs = [run for one in experiments for run in held.runs(one["id"])]
    scores = {place: said for one in experiments for place, said in held.scores(one["id"]).items()}
    places = Counter((run["dataset_example_id"], run["repetition_number"]) for run in runs)
    by_place = {(run["dataset_example_id"], run["repetition_number"]): run for run in runs}
    missing: list[Any] = [place for place in told.runs if place not in by_place]
    wrong: list[Any] = []
    for place, run in by_place.items():
        line = told.runs.get(place)
        if line is None:
            continue
        if bool(line["failure"]) != bool(run["error"]) or (not line["failure"] and line["output"] != run["output"]):
            wrong.append((place, line["output"], run["output"]))
    for place, said in told.scores.items():
        there = scores.get(place, {})
        for name, line in said.items():
            if name not in there:
                missing.append((place, name))
            elif there[name]["score"] != line["score"] or bool(there[name]["error"]) != bool(line["failure"]):
                wrong.append((place, name, line["score"], there[name]["score"]))
    wrong += [
        (place, name) for place, said in scores.items() for name in said if name not in told.scores.get(place, {})
    ]
    return Comparison(
        experiments=len(experiments),
        missing=missing,
        wrong=wrong,
        foreign=[place for place in by_place if place not in told.runs],
        twice=[place for place, number in places.items() if number > 1],
    )

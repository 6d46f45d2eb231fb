"""The prices of known models are those of the pinned genai-prices, for models whose name identifies the price."""

from __future__ import annotations

import importlib.util
import json
import re
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "app/evalwire/model/known_prices.json"


def test_the_file_is_what_make_prices_writes():
    spec = importlib.util.spec_from_file_location("prices_script", ROOT / "docs/prices.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    on = date.fromisoformat(json.loads(FILE.read_text())["date"])
    assert FILE.read_text() == script.text(script.table(on))


def test_prices_are_positive_and_names_are_of_one_provider():
    found = json.loads(FILE.read_text())
    names = [name for prices in found["prices"].values() for name in prices]
    assert len(names) == len(set(names)) > 200
    assert set(found["prefixes"].values()) == set(found["prices"])
    for prices in found["prices"].values():
        for name, (sent, generated, *limit) in prices.items():
            assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*[a-z0-9]", name)
            assert 0 < sent <= generated
            assert all(tokens > 10_000 for tokens in limit)


def test_no_command_imports_the_package_that_the_prices_are_from():
    assert "genai_prices" not in "".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))

"""Which examples a shard has, and which shard a job is: pure functions."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.model.shard import Shard, deal_examples, missing_shards
from evalwire.settings.ci import parallel_job
from evalwire.settings.shard_option import ShardOption

ids = st.lists(st.text(max_size=12), unique=True, max_size=60)
totals = st.integers(1, 12)
names = st.text(min_size=1, max_size=12)


@given(ids, totals, names)
def test_the_parts_are_disjoint_complete_and_of_one_size(ids, total, name):
    """Every example has one shard of those there are, and no shard has two more than another."""
    numbers = deal_examples(ids, total, experiment=name)
    assert len(numbers) == len(ids)
    assert set(numbers) <= set(range(1, total + 1))
    sizes = [numbers.count(number) for number in range(1, total + 1)]
    assert max(sizes) - min(sizes) <= 1


@given(ids, totals, names, st.randoms(use_true_random=False))
def test_the_order_of_the_dataset_does_not_matter(ids, total, name, rng):
    """Every job comes to the same parts, in whatever order Phoenix gives the examples."""
    dealt = dict(zip(ids, deal_examples(ids, total, experiment=name), strict=True))
    shuffled = rng.sample(ids, len(ids))
    assert dict(zip(shuffled, deal_examples(shuffled, total, experiment=name), strict=True)) == dealt


def test_small_experiments_do_not_all_fall_to_one_shard():
    """A hundred experiments of one example keep four shards busy."""
    firsts = Counter(deal_examples(["only"], 4, experiment=f"experiment {number}")[0] for number in range(100))
    assert set(firsts) == {1, 2, 3, 4}
    assert max(firsts.values()) < 50


def test_the_parts_stay_the_same_over_versions_of_evalwire():
    """Shards of one pipeline run may be of two images: who has which example is not to be changed."""
    assert deal_examples(["a", "b", "c", "d", "e", "f"], 3, experiment="es_search") == [2, 3, 2, 3, 1, 1]


@given(ids, totals, names, st.data())
def test_what_is_missing_is_told_of_each_shard(ids, total, name, data):
    """There is a sentence for each shard with missing examples, and it counts them."""
    some = st.sets(st.sampled_from(ids)) if ids else st.just(set())
    incomplete, started = data.draw(some), data.draw(some)
    numbers = dict(zip(ids, deal_examples(ids, total, experiment=name), strict=True))
    sentences = missing_shards(ids, incomplete, started, total, experiment=name)
    missing = {numbers[id_] for id_ in incomplete}
    wholly = missing - {numbers[id_] for id_ in ids if id_ not in incomplete or id_ in started}
    assert len(sentences) == bool(wholly) + len(missing - wholly)
    counts = [int(re.search(r"(?:with|missing) (\d+) examples? \(", sentence)[1]) for sentence in sentences]
    assert sum(counts) == len(incomplete)


def test_missing_shards_are_named_with_some_of_their_examples():
    """All of one shard, a part of another, and one that was killed before its runs were evaluated."""
    ids = [f"q{number}" for number in range(6)]
    numbers = deal_examples(ids, 2, experiment="e")
    first = [id_ for id_, number in zip(ids, numbers, strict=True) if number == 1]
    second = [id_ for id_, number in zip(ids, numbers, strict=True) if number == 2]
    assert missing_shards(ids, {*first, second[0]}, second, 2, experiment="e") == [
        f"shard 1 of 2 is missing, with 3 examples ({', '.join(first)})",
        f"shard 2 of 2 is incomplete: missing 1 example ({second[0]})",
    ]
    assert missing_shards(ids, set(ids), (), 2, experiment="e") == [
        f"shards 1, 2 of 2 are missing, with 6 examples ({', '.join([*first, *second][:5])}, ...)"
    ]
    assert missing_shards(ids, set(first), first[:1], 2, experiment="e") == [
        f"shard 1 of 2 is incomplete: missing 3 examples ({', '.join(first)})"
    ]
    assert missing_shards(ids, set(), ids, 2, experiment="e") == []


@pytest.mark.parametrize("text", ["2/5", "1/1", " 12/12 ", "auto", "auto/5"])
def test_a_shard_is_read_as_it_is_shown(text):
    """What is written comes back."""
    assert str(ShardOption.parse(text)) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "0/5", "6/5", "-1/5", "1/0", "2", "2/", "/5", "2/5/1", "2 of 5", "auto/0", "AUTO", "²/5"]
)
def test_what_is_no_shard_is_refused(text):
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=r"shard|expected"):
        ShardOption.parse(text)


SYSTEMS = {
    "gitlab": ({"GITLAB_CI": "true", "CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "5"}, Shard(2, 5)),
    "gitlab, not parallel": ({"GITLAB_CI": "true", "CI_NODE_TOTAL": "1"}, Shard(1, 1)),
    "circleci": ({"CIRCLECI": "true", "CIRCLE_NODE_INDEX": "1", "CIRCLE_NODE_TOTAL": "5"}, Shard(2, 5)),
    "buildkite": (
        {"BUILDKITE": "true", "BUILDKITE_PARALLEL_JOB": "1", "BUILDKITE_PARALLEL_JOB_COUNT": "5"},
        Shard(2, 5),
    ),
    "azure": ({"TF_BUILD": "True", "SYSTEM_JOBPOSITIONINPHASE": "2", "SYSTEM_TOTALJOBSINPHASE": "5"}, Shard(2, 5)),
    "bitbucket": (
        {"BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_PARALLEL_STEP": "1", "BITBUCKET_PARALLEL_STEP_COUNT": "5"},
        Shard(2, 5),
    ),
    "cloud run": (
        {"CLOUD_RUN_JOB": "evals", "CLOUD_RUN_TASK_INDEX": "1", "CLOUD_RUN_TASK_COUNT": "5"},
        Shard(2, 5),
    ),
}


@pytest.mark.parametrize(("environ", "shard"), SYSTEMS.values(), ids=SYSTEMS)
def test_every_system_counts_its_own_way(environ, shard):
    """Some from 0, some from 1."""
    assert ShardOption().resolve(parallel_job(environ)) == shard


def test_kubernetes_tells_the_index_alone():
    """The total is named, or comes from a plan."""
    place = parallel_job({"JOB_COMPLETION_INDEX": "1"})
    assert ShardOption.parse("auto/5").resolve(place) == Shard(2, 5)
    assert ShardOption().resolve(place, planned=5) == Shard(2, 5)
    with pytest.raises(ValueError, match="does not include the number of shards"):
        ShardOption().resolve(place)


@pytest.mark.parametrize(
    ("text", "environ", "planned", "said"),
    [
        ("auto", {}, None, "variable of a known CI system"),
        ("auto", {"GITHUB_ACTIONS": "true"}, 3, "variable of a known CI system"),
        ("auto", {"GITLAB_CI": "1", "CI_NODE_TOTAL": "4"}, None, "shard are incomplete: .*CI_NODE_TOTAL is '4'"),
        ("auto/3", {"GITLAB_CI": "1", "CI_NODE_TOTAL": "1"}, None, "variables for the shard are incomplete"),
        (
            "auto",
            {"GITLAB_CI": "1", "CI_NODE_INDEX": "0", "CI_NODE_TOTAL": "4"},
            None,
            "no shard 0 of 4: CI_NODE_INDEX",
        ),
        ("auto", {"GITLAB_CI": "1", "CI_NODE_INDEX": "5", "CI_NODE_TOTAL": "4"}, None, "no shard 5 of 4"),
        ("auto", {"GITLAB_CI": "1", "CI_NODE_INDEX": "x", "CI_NODE_TOTAL": "4"}, None, "expected whole numbers"),
        ("auto", {"GITLAB_CI": "1", "CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "-4"}, None, "expected whole numbers"),
        ("auto", {"GITLAB_CI": "1", "CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "4"}, 3, "expected 3 shards, but"),
        ("auto/3", {"GITLAB_CI": "1", "CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "4"}, None, "expected 3 shards, but"),
        ("auto/3", {"JOB_COMPLETION_INDEX": "1"}, 4, "the plan has 4 shards, not 3"),
        ("2/3", {}, 4, "the plan has 4 shards, not 3"),
    ],
)
def test_what_does_not_agree_is_refused(text, environ, planned, said):
    """Half a pair, an index that there is not, two totals: never "run everything"."""
    with pytest.raises(ValueError, match=said):
        ShardOption.parse(text).resolve(parallel_job(environ), planned=planned)


def test_a_named_shard_needs_no_system():
    """What is explicit beats what CI says."""
    place = parallel_job({"GITLAB_CI": "1", "CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "4"})
    assert ShardOption.parse("2/3").resolve(place) == Shard(2, 3)

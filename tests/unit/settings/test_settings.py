"""Where settings come from, which source wins, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evalwire.errors import UsageError
from evalwire.gates.baselines import BaselineChoice
from evalwire.runner import ExperimentRunner
from evalwire.settings import OPTIONS, Settings, load_settings, parse_option
from evalwire.settings.shard_option import ShardOption

# A value of each option that is not its default: as text, as TOML, and what both become.
VALUES: dict[str, tuple[str, str | None, Any]] = {
    "experiments": ("other", '"other"', Path("other")),
    "names": ("a, b,", None, ("a", "b")),
    "variants": ("fast, slow", None, ("fast", "slow")),
    "prefix": ("nightly", '"nightly"', "nightly"),
    "helpers": ("x.py,y.py", '["x.py", "y.py"]', ("x.py", "y.py")),
    "concurrency": ("3", "3", 3),
    "task_concurrency": ("4", "4", 4),
    "timeout_seconds": ("1.5", "1.5", 1.5),
    "retries": ("2", "2", 2),
    "retry_on": ("a.B,c.D", '["a.B", "c.D"]', ("a.B", "c.D")),
    "repetitions": ("3", "3", 3),
    "split": ("dev", '"dev"', "dev"),
    "dataset_version": ("V1", None, "V1"),
    "shard": ("2/5", None, ShardOption(2, 5)),
    "plan": ("plan.json", None, "plan.json"),
    "run_key": ("nightly 7", None, "nightly 7"),
    "github_files": ("handed", None, Path("handed")),
    "max_failures": ("5%", '"5%"', 0.05),
    "grace_seconds": ("2", "2", 2.0),
    "max_cost_usd": ("0.5", "0.5", 0.5),
    "max_tokens": ("2_000", "2000", 2_000),
    "max_seconds": ("90", "90", 90.0),
    "budget_start": ("try", '"try"', "try"),
    "gate": ("top_k >= 0.8; exact drop <= 1%", None, ("top_k >= 0.8", "exact drop <= 1%")),
    "stop_early": ("true", "true", True),
    "stop_risk": ("0.05", "0.05", 0.05),
    "stop_min_examples": ("50", "50", 50),
    "stop_errors": ("all", '"all"', "all"),
    "stop_on_failed": ("finish", '"finish"', "finish"),
    "stop_base_branch": ("true", "true", True),
    "baseline": ("tag:release", '"tag:release"', BaselineChoice("tag", "release")),
    "base_branch": ("develop", '"develop"', "develop"),
    "endpoint": ("http://phoenix:6006", '"http://phoenix:6006"', "http://phoenix:6006"),
    "public_endpoint": ("https://phoenix.team", '"https://phoenix.team"', "https://phoenix.team"),
    "fetch_attempts": ("6", "6", 6),
    "fetch_timeout_seconds": ("7", "7", 7.0),
    "record_timeout_seconds": ("10", "10", 10.0),
    "record_connections": ("2", "2", 2),
    "trace_evaluators": ("all", '"all"', "all"),
    "report_dir": ("out", '"out"', Path("out")),
    "local_dir": ("cache", '"cache"', Path("cache")),
    "keep_local": ("2.5", "2.5", 2.5),
    "secrets": ("TEAM,PIN", '["TEAM", "PIN"]', ("TEAM", "PIN")),
    "not_secrets": ("DEMO_KEY", '"DEMO_KEY"', ("DEMO_KEY",)),
    "csv_path": ("set.csv", '"set.csv"', Path("set.csv")),
    "on_exist": ("append", '"append"', "append"),
    "sync": ("true", "true", True),
    "input_keys": ("q,context", '["q", "context"]', ("q", "context")),
    "output_keys": ("gold", '["gold"]', ("gold",)),
    "tag_column": ("sets", '"sets"', "sets"),
    "delimiter": (";", '";"', ";"),
    "split_columns": ("gold,alt", '["gold", "alt"]', ("gold", "alt")),
    "separator": (";", '";"', ";"),
    "id_column": ("key", '"key"', "key"),
    "split_column": ("part", '"part"', "part"),
}
IN_FILE = [option for option in OPTIONS if option.key]


def named(option: Any) -> str:
    return option.name


def toml(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "evalwire.toml"
    file.write_text(text)
    return file


def entry(option: Any) -> str:
    section, _, key = option.key.partition(".")
    return f"[{section}]\n{key} = {VALUES[option.name][1]}\n"


def from_toml(tmp_path: Path, text: str, **environ: str) -> Settings:
    toml(tmp_path, text)
    return load_settings({}, environ, directory=tmp_path)


# --- one precedence ------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", OPTIONS, ids=named)
def test_every_option_has_a_default(tmp_path, option):
    """Without any source each option has its default, and says so."""
    settings = load_settings({}, {}, directory=tmp_path)
    assert getattr(settings, option.name) == option.default
    assert settings.source(option.name) == "default"


@pytest.mark.parametrize("option", OPTIONS, ids=named)
def test_every_option_has_a_variable(tmp_path, option):
    """EVALWIRE_<NAME> sets each option, and is remembered as its source."""
    text, _, value = VALUES[option.name]
    variable = f"EVALWIRE_{option.name.upper()}"
    settings = load_settings({}, {variable: text}, directory=tmp_path)
    assert getattr(settings, option.name) == value != option.default
    assert settings.source(option.name) == variable


@pytest.mark.parametrize("option", IN_FILE, ids=named)
def test_every_option_of_the_file_is_read(tmp_path, option):
    """A key of evalwire.toml sets its option, and the file is remembered as the source."""
    settings = from_toml(tmp_path, entry(option))
    value = VALUES[option.name][2]
    assert getattr(settings, option.name) == (tmp_path / value if option.is_path else value)
    assert settings.source(option.name) == str(tmp_path / "evalwire.toml")


@pytest.mark.parametrize("option", OPTIONS, ids=named)
def test_a_flag_sets_every_option(tmp_path, option):
    """A flag's value, already of the right type or still text, sets its option."""
    text, _, value = VALUES[option.name]
    for given in (text, value):
        settings = load_settings({option.name: given}, {}, directory=tmp_path)
        assert getattr(settings, option.name) == value
        assert settings.source(option.name) == "flag"


def test_flags_beat_variables_beat_the_file_beat_defaults(tmp_path):
    """One precedence holds: flag, variable, file, default."""
    toml(tmp_path, '[experiments]\nprefix = "file"\n')
    flags, environ = {"prefix": "flag"}, {"EVALWIRE_PREFIX": "variable"}
    seen = [
        load_settings(flags, environ, directory=tmp_path).prefix,
        load_settings({"prefix": None}, environ, directory=tmp_path).prefix,
        load_settings({}, {}, directory=tmp_path).prefix,
        load_settings({}, {}, directory=tmp_path / "elsewhere").prefix,
    ]
    assert seen == ["flag", "variable", "file", "eval"]


def test_an_empty_variable_is_unset(tmp_path):
    """`EVALWIRE_PREFIX=` leaves what the file says."""
    assert from_toml(tmp_path, '[experiments]\nprefix = "file"\n', EVALWIRE_PREFIX="").prefix == "file"


def test_a_flag_that_was_not_given_is_no_value(tmp_path):
    """None and an empty list of a repeatable flag leave what the environment says."""
    settings = load_settings(
        {"names": [], "prefix": None}, {"EVALWIRE_NAMES": "a", "EVALWIRE_PREFIX": "p"}, directory=tmp_path
    )
    assert (settings.names, settings.prefix) == (("a",), "p")


def test_settings_are_listed_with_their_sources(tmp_path):
    """All settings are listed once, each with the value and the source it came from."""
    listed = dict(load_settings({"prefix": "p"}, {}, directory=tmp_path).items())
    assert list(listed) == [option.name for option in OPTIONS]
    assert (listed["prefix"].value, listed["prefix"].source, len(listed)) == ("p", "flag", len(OPTIONS))
    assert listed["concurrency"].source == "default"


def test_a_setting_that_does_not_exist_is_an_attribute_error(tmp_path):
    """A slip in a setting's name is an AttributeError, not a value."""
    with pytest.raises(AttributeError, match="concurency"):
        _ = load_settings({}, {}, directory=tmp_path).concurency


# --- the file ------------------------------------------------------------------------------------------


def test_the_file_of_the_working_directory_is_read(tmp_path, monkeypatch):
    """Without a directory, ./evalwire.toml counts."""
    toml(tmp_path, '[experiments]\nprefix = "here"\n')
    monkeypatch.chdir(tmp_path)
    assert load_settings({}, {}).prefix == "here"


def test_a_named_file_replaces_the_one_of_the_working_directory(tmp_path):
    """With --config, ./evalwire.toml is not read."""
    toml(tmp_path, "[experiments]\nconcurrency = 9\n")
    other = toml(tmp_path / "ci", '[experiments]\nprefix = "ci"\n')
    settings = load_settings({}, {}, config=other, directory=tmp_path)
    assert (settings.prefix, settings.concurrency) == ("ci", 1)


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_named_file_that_is_missing_is_an_error(tmp_path, name):
    """A --config that is no file is wrong use, never silently ignored."""
    with pytest.raises(UsageError, match="does not exist"):
        load_settings({}, {}, config=tmp_path / name)


def test_paths_in_the_file_are_relative_to_it(tmp_path):
    """A relative path in evalwire.toml starts at the file; an absolute one, and those of flags, stay."""
    file = toml(
        tmp_path / "ci", '[experiments]\ndir = "../exps"\n[reports]\ndir = "/abs"\n[dataset]\ncsv_path = "a.csv"\n'
    )
    settings = load_settings({"csv_path": Path("b.csv")}, {"EVALWIRE_LOCAL_DIR": "c"}, config=file)
    assert settings.experiments.resolve() == tmp_path / "exps"
    assert settings.report_dir == Path("/abs")
    assert (settings.csv_path, settings.local_dir) == (Path("b.csv"), Path("c"))


def test_what_is_read_may_be_in_the_working_directory(tmp_path, monkeypatch):
    """As 0.6 had it; what is beside the file wins, and what is written is beside it."""
    monkeypatch.chdir(tmp_path)
    for folder in ("experiments", "test-results", "ci"):
        (tmp_path / folder).mkdir()
    text = '[experiments]\ndir = "experiments"\n[reports]\ndir = "test-results"\n[dataset]\ncsv_path = "a.csv"\n'
    file = toml(tmp_path / "ci", text)
    settings = load_settings({}, {}, config=file)
    assert (settings.experiments, settings.report_dir) == (Path("experiments"), tmp_path / "ci/test-results")
    assert settings.csv_path == tmp_path / "ci/a.csv"
    (tmp_path / "ci/experiments").mkdir()
    assert load_settings({}, {}, config=file).experiments == tmp_path / "ci/experiments"


def test_experiments_have_tables_of_their_own(tmp_path):
    """[experiments.NAME] names the dataset and the helpers of one experiment."""
    settings = from_toml(
        tmp_path,
        '[experiments]\nhelpers = ["all.py"]\n[experiments.a]\ndataset = "Set A"\nhelpers = ["x.py"]\n'
        '[experiments."b c"]\nhelpers = "y.py,z.py"\n',
    )
    assert list(settings.tables) == ["a", "b c"]
    assert settings.dataset_names == {"a": "Set A"}
    assert settings.helpers_by_experiment == {"*": ("all.py",), "a": ("x.py",), "b c": ("y.py", "z.py")}


def test_gates_of_one_experiment_stand_with_it(tmp_path):
    settings = from_toml(
        tmp_path,
        '[gates]\nmax_error_rate = 0.1\nbaseline = "none"\n[experiments.a]\ndataset = "x"\n'
        "[experiments.a.gates]\nmax_cost_usd = 1\n[experiments.a.gates.top_k]\nmin = 0.5\n",
    )
    (limit,) = settings.thresholds.everywhere.limits
    own = settings.thresholds.experiments["a"]
    assert (limit.rule, limit.threshold, settings.dataset_names) == ("max_error_rate", 0.1, {"a": "x"})
    assert [limit.rule for limit in own.limits] == ["max_cost_usd"]
    assert [limit.source for limit in own.evaluations["top_k"].limits] == [
        f"{tmp_path / 'evalwire.toml'}:9: [experiments.a.gates.top_k] min"
    ]


def test_an_experiment_with_the_name_of_a_setting_has_its_table_under_another_key(tmp_path):
    """`[experiments] split` is a setting, also where a folder is called so."""
    settings = from_toml(
        tmp_path,
        '[experiments]\nsplit = "dev"\n[experiments."./split"]\ndataset = "x"\ngates = { max_cost_usd = 1 }\n',
    )
    assert (settings.split, settings.dataset_names, list(settings.thresholds.experiments)) == (
        "dev",
        {"split": "x"},
        ["split"],
    )
    with pytest.raises(UsageError, match=r"\[experiments\] split = .*\n.*write \[experiments\.\"\./split\"\]"):
        from_toml(tmp_path, '[experiments.split]\ndataset = "x"\n')


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[experiments.a]\ngates = 3\n", "[experiments.a] gates = 3: expected a table: write [experiments.a.gates]."),
        ("[experiments.a.gates]\nmax_eror_rate = 3\n", "[experiments.a.gates]: unknown key 'max_eror_rate'. Perhaps"),
        ('[experiments."b c".gates]\nmin = 3\n', "[experiments.\"b c\".gates]: unknown key 'min'."),
        ("[gates.a]\nmax_cost_usd = 3\n", "[gates.a] is for gates on an evaluation, not on an experiment."),
        (
            "[experiments]\nconcurency = 2\n",
            "unknown key in [experiments]: 'concurency'. Perhaps you meant 'concurrency'.",
        ),
        ("[experiment]\ndir = 'x'\n", "unknown section: 'experiment'. Perhaps you meant 'experiments'."),
        ("[gate]\nsame = { min = 0.5 }\n", "unknown section: 'gate'. Perhaps you meant 'gates'."),
        (
            "[thresholds]\nsame = 0.5\n",
            "unknown section: 'thresholds'. Known: budget, dataset, experiments, gates, local, masking, phoenix, ",
        ),
        ("[quality]\nsame = 0.5\n", "unknown section: 'quality'. Known:"),
        ("[zzz]\nmin_pass_rate = 0.5\n", "unknown section: 'zzz'. Known:"),
        ("[zzz]\nsame_minimum = 0.5\n", "unknown section: 'zzz'. Known:"),
        ("prefix = 'x'\n", "unknown section: 'prefix'."),
        ("phoenix = 'http://x'\n", "write [phoenix]"),
        ("[phoenix]\nendpont = 'x'\n", "unknown key in [phoenix]: 'endpont'. Perhaps you meant 'endpoint'."),
        ("[phoenix]\nrecord_timeout = 3\n", "unknown key in [phoenix]: 'record_timeout'. Perhaps"),
        ("[experiments.a]\ndatset = 'x'\n", "unknown key in [experiments.a]: 'datset'. Perhaps you meant 'dataset'."),
        ("[experiments.a]\ndataset = 3\n", "[experiments.a] dataset = 3: expected a non-empty string"),
        ("[experiments.a]\ndataset = ''\n", "[experiments.a] dataset = '': expected a non-empty string"),
        ("[experiments.a]\nhelpers = [3]\n", "[experiments.a] helpers = [3]: expected a list of strings"),
        ("[experiments\n", "is not valid TOML"),
        ("[experiments]\nprefix = eval\n", "is not valid TOML"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_place(tmp_path, text, says):
    """Unknown keys and sections, wrong types and broken TOML name the file, the place, and a way on."""
    with pytest.raises(UsageError) as caught:
        from_toml(tmp_path, text)
    assert str(tmp_path / "evalwire.toml") in str(caught.value)
    assert says in str(caught.value)


def test_a_file_that_is_not_utf8_is_an_error(tmp_path):
    """A file in another encoding is wrong use, not a crash."""
    (tmp_path / "evalwire.toml").write_bytes(b'[experiments]\nprefix = "\xe9"\n')
    with pytest.raises(UsageError, match="cannot be read"):
        load_settings({}, {}, directory=tmp_path)


# --- values --------------------------------------------------------------------------------------------

BAD = [
    ("concurrency", "0"),
    ("concurrency", "-1"),
    ("concurrency", "two"),
    ("concurrency", "1.5"),
    ("task_concurrency", "1e3"),
    ("timeout_seconds", "0"),
    ("timeout_seconds", "nan"),
    ("timeout_seconds", "inf"),
    ("timeout_seconds", "soon"),
    ("on_exist", "replace"),
    ("prefix", " "),
    ("csv_path", " "),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_variable_is_named(tmp_path, name, value):
    """A value that cannot be used names its variable, shows itself, and says what was expected."""
    variable = f"EVALWIRE_{name.upper()}"
    with pytest.raises(UsageError) as caught:
        load_settings({}, {variable: value}, directory=tmp_path)
    assert str(caught.value).startswith(f"{variable} = {value!r}: expected ")


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("concurrency", 0, "--concurrency"),
        ("timeout_seconds", -1.0, "--timeout"),
        ("on_exist", "replace", "--on-exist"),
        ("prefix", "", "--prefix"),
        ("grace_seconds", 0, "grace_seconds"),
    ],
)
def test_a_bad_flag_is_named(tmp_path, name, value, flag):
    """A flag's value that cannot be used names the flag, an empty text too."""
    with pytest.raises(UsageError) as caught:
        load_settings({name: value}, {}, directory=tmp_path)
    assert str(caught.value).startswith(f"{flag} = {value!r}: expected ")


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("[experiments]\nconcurrency = 0", "[experiments] concurrency = 0"),
        ("[experiments]\nconcurrency = true", "[experiments] concurrency = True"),
        ("[experiments]\nconcurrency = 1.0", "[experiments] concurrency = 1.0"),
        ("[experiments]\ntimeout_seconds = false", "[experiments] timeout_seconds = False"),
        ("[experiments]\ntimeout_seconds = nan", "[experiments] timeout_seconds = nan"),
        ("[experiments]\nprefix = 3", "[experiments] prefix = 3"),
        ("[experiments]\nprefix = ''", "[experiments] prefix = ''"),
        ("[experiments]\nhelpers = [1]", "[experiments] helpers = [1]"),
        ("[experiments]\ndir = 3", "[experiments] dir = 3"),
        ("[experiments.dir]\ndataset = 'x'", "[experiments] dir = "),
        ("[dataset]\ndelimiter = ''", "[dataset] delimiter = ''"),
        ("[dataset]\non_exist = 'Skip'", "[dataset] on_exist = 'Skip'"),
        ("[dataset]\ninput_keys = 3", "[dataset] input_keys = 3"),
    ],
)
def test_a_bad_value_in_the_file_is_named(tmp_path, line, place):
    """A value of the wrong kind names the file, the section and the key."""
    with pytest.raises(UsageError) as caught:
        from_toml(tmp_path, line)
    assert str(caught.value).startswith(f"{tmp_path / 'evalwire.toml'}: {place}")


def test_a_misspelled_variable_is_an_error_with_a_suggestion(tmp_path):
    """A variable that looks like one of evalwire's is not silently ignored."""
    with pytest.raises(UsageError, match=r"EVALWIRE_CONCURENCY\. Perhaps you meant EVALWIRE_CONCURRENCY"):
        load_settings({}, {"EVALWIRE_CONCURENCY": "2"}, directory=tmp_path)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("EVALWIRE_GATES", "EVALWIRE_GATE"),
        ("EVALWIRE_TIMEOUT", "EVALWIRE_TIMEOUT_SECONDS"),
        ("EVALWIRE_NAME", "EVALWIRE_NAMES"),
        ("EVALWIRE_CSV", "EVALWIRE_CSV_PATH"),
        ("EVALWIRE_BASELINES", "EVALWIRE_BASELINE"),
        ("EVALWIRE_REPORTDIR", "EVALWIRE_REPORT_DIR"),
    ],
)
def test_a_variable_is_misspelt_where_its_own_part_is(tmp_path, name, meant):
    """The flag's name is no variable's; a gate in such a variable would be absent."""
    with pytest.raises(UsageError, match=rf"unknown variable {name}\. Perhaps you meant {meant}\."):
        load_settings({}, {name: "2"}, directory=tmp_path)


@pytest.mark.parametrize(
    "name", ["VERSION", "IMAGE", "IMAGE_TAG_OF_TEAM", "REF", "SHA", "TOKEN", "CHANNEL", "ARGS", "PYTHON", "CI_BRANCH"]
)
def test_variables_of_other_tools_are_a_note(tmp_path, name):
    """A variable of somebody's pipeline that resembles none of evalwire's settings stops no job."""
    settings = load_settings({}, {f"EVALWIRE_{name}": "1", "PATH": "/bin"}, directory=tmp_path)
    assert list(settings.notes) == [f"EVALWIRE_{name} is not a setting of evalwire and is ignored."]


def test_variables_of_the_image_and_of_the_tests_are_no_settings(tmp_path):
    own = ("OVERLAY", "REQUIREMENTS", "REQUIRE_IMAGE_TESTS", "TEST_PHOENIX")
    assert load_settings({}, {f"EVALWIRE_{name}": "1" for name in own}, directory=tmp_path).notes == []


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("[phoenix]\nbase_url = 'http://p:1'\n", ["[phoenix] base_url is read as endpoint."]),
        (
            "[phoenix]\nbase_url = 'http://other'\nendpoint = 'http://p:1'\n",
            ["[phoenix] base_url is ignored because endpoint is set."],
        ),
        (
            "[phoenix]\nendpoint = 'http://p:1'\nproject_name = 'x'\ncollector = {}\nheaders = 3\n",
            [
                f"[phoenix] {key} is not a setting of evalwire and is ignored."
                for key in ("project_name", "collector", "headers")
            ],
        ),
        (
            "[phoenix]\nendpoint = 'http://p:1'\n[observability]\nauto_instrument = true\n[langgraph]\n",
            [f"[{key}] is not a section of evalwire and is ignored." for key in ("observability", "langgraph")],
        ),
    ],
)
def test_what_meant_nothing_in_0_6_is_a_note(tmp_path, text, notes):
    """0.6 kept `[phoenix]` for later and ignored other sections."""
    settings = from_toml(tmp_path, text)
    assert settings.endpoint == "http://p:1"
    assert list(settings.notes) == [f"{tmp_path / 'evalwire.toml'}: {note}" for note in notes]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("task_concurrency", "auto", "auto"),
        ("retries", "0", 0),
        ("max_failures", "3", 3.0),
        ("max_failures", "0.5%", 0.005),
    ],
)
def test_what_else_an_option_may_be(tmp_path, name, text, value):
    assert getattr(load_settings({}, {f"EVALWIRE_{name.upper()}": text}, directory=tmp_path), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("task_concurrency", "fast"),
        ("task_concurrency", "0"),
        ("retries", "-1"),
        ("retries", "true"),
        ("max_failures", "0"),
        ("max_failures", "100%"),
        ("max_failures", "-5%"),
        ("max_failures", "some"),
        ("repetitions", "0"),
    ],
)
def test_what_an_option_may_not_be(tmp_path, name, text):
    with pytest.raises(UsageError, match=f"EVALWIRE_{name.upper()}"):
        load_settings({}, {f"EVALWIRE_{name.upper()}": text}, directory=tmp_path)


def test_a_share_of_failures_is_a_number_below_1_in_the_file(tmp_path):
    assert from_toml(tmp_path, "[experiments]\nmax_failures = 0.05\n").max_failures == 0.05


def test_an_experiment_is_isolated_by_its_own_table(tmp_path):
    settings = from_toml(tmp_path, '[experiments.a]\nisolate = "thread"\n[experiments.b]\ndataset = "x"\n')
    assert settings.isolated_experiments == ["a"]
    with pytest.raises(UsageError, match=r"\[experiments.a\] isolate = 'process'.*expected one of: thread"):
        from_toml(tmp_path, '[experiments.a]\nisolate = "process"\n')


@pytest.mark.parametrize("texts", [[""], [" "], ["exact >= 0.9", ""]])
def test_an_empty_gate_is_an_error(tmp_path, texts):
    """A variable of the pipeline that is not set would leave nothing to judge, and hide that of the environment."""
    with pytest.raises(UsageError, match="expected a limit"):
        load_settings({"gate": texts}, {"EVALWIRE_GATE": "exact >= 0.9"}, directory=tmp_path)


# --- for scripts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("concurrency", 3, 3),
        ("timeout_seconds", 5, 5.0),
        ("max_failures", 2.0, 2.0),
        ("task_concurrency", "auto", "auto"),
    ],
)
def test_a_script_has_the_parsers_of_the_settings(name, given, value):
    assert parse_option(name, given) == value


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("concurrency", 0, "concurrency = 0: expected a whole number, 1 or more."),
        ("grace_seconds", -1.0, "grace_seconds = -1.0: expected a number greater than 0."),
        pytest.param("grace_seconds", 10**400, f"grace_seconds = {10**400}: expected a number.", id="huge"),
        ("max_failures", 1.5, "max_failures = 1.5: expected a whole number, 1 or more, or a percentage such as 5%."),
        ("task_concurrency", "fast", "task_concurrency = 'fast': expected a whole number, or auto."),
    ],
)
def test_a_script_is_told_what_the_setting_expects(name, given, says):
    with pytest.raises(UsageError) as caught:
        parse_option(name, given)
    assert str(caught.value) == says


def test_the_runner_takes_what_the_settings_take(tmp_path):
    """`ExperimentRunner` had checks of its own, which let a misspelt concurrency fail later, as a TypeError."""
    client: Any = object()
    assert ExperimentRunner(tmp_path, client, concurrency=2, max_failures=0.5)._limits.max_failures == 0.5
    with pytest.raises(UsageError, match=r"task_concurrency = 'fast': expected a whole number, or auto"):
        ExperimentRunner(tmp_path, client, task_concurrency="fast")


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path):
    """Notepad writes one, and Windows line ends."""
    toml(tmp_path, "").write_bytes(b"\xef\xbb\xbf[dataset]\r\nseparator = 'tab'\r\n")
    assert load_settings({}, {}, directory=tmp_path).separator == "\t"
    toml(tmp_path, "").write_bytes("[dataset]\n".encode("utf-16"))
    with pytest.raises(UsageError, match="is in UTF-16"):
        load_settings({}, {}, directory=tmp_path)


def test_split_columns_that_are_none_are_not_unset(tmp_path):
    assert from_toml(tmp_path, "").split_columns is None
    assert from_toml(tmp_path, "[dataset]\nsplit_columns = []\noutput_keys = []\n").split_columns == ()

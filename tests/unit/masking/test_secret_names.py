"""Which variables hold secrets, and which values are none whatever they are called."""

from __future__ import annotations

import base64
import json
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.masking import Mask, SecretRules, secrets_in
from evalwire.settings import OPTIONS

SECRETS = [
    "OPENAI_API_KEY",
    "phoenix_api_key",
    "openaiApiKey",
    "OPENAI_API_KEYS",
    "OPENAI_API_KEY_2",
    "API_KEY_PROD_EU",
    "KEY_2",
    "GITHUB_TOKEN",
    "CI_JOB_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "SYSTEM_ACCESSTOKEN",
    "AUTHTOKEN",
    "CLIENT_SECRET",
    "CLIENTSECRET",
    "SECRET_KEY_BASE",
    "AWS_SECRET_ACCESS_KEY",
    "DB_PASSWORD",
    "PGPASSWORD",
    "MYSQL_ROOT_PASSWORD",
    "DB_PASS",
    "DB_PWD",
    "MYSQL_PWD",
    "SMTP_PASSWD",
    "SSH_PASSPHRASE",
    "GITHUB_PAT",
    "PAT",
    "AZURE_DEVOPS_EXT_PAT",
    "SENTRY_DSN",
    "SLACK_WEBHOOK",
    "SLACK_WEBHOOK_URL",
    "WEBHOOK_URI",
    "AZURE_STORAGE_CONNECTION_STRING",
    "SERVICEBUS_CONN_STR",
    "ConnectionString",
    "CI_JOB_JWT",
    "CI_JOB_JWT_V2",
    "JENKINS_SERVER_COOKIE",
    "SESSION_COOKIES",
    "TLS_PEM",
    "CLIENT_PEM_B64",
    "DOCKER_AUTH_CONFIG",
    "BASIC_AUTH",
    "NPM_CREDS",
    "GCP_CREDENTIALS",
    "AZURE_CREDENTIALS",
    "STORAGE_ACCOUNT_KEY",
    "COSMOS_ACCOUNTKEY",
    "SIGNING_KEY",
    "SSH_PRIVATE_KEY",
    "HF_TOKEN",
    "INPUT_TOKEN",
    "BUILDKITE_AGENT_ACCESS_TOKEN",
    "CIRCLE_OIDC_TOKEN",
    "DJANGO_SECRET",
    "APP_SECRETS",
    "STRIPE_SK_KEY",
    "AZURE_SAS_URL",
    "BEARER",
    "TOKENS",
]

OTHERS = [
    "PATH",
    "PWD",
    "OLDPWD",
    "SSH_AUTH_SOCK",
    "TOKEN_COUNT",
    "MAX_TOKENS",
    "MONKEY",
    "KEYBOARD",
    "TOKENIZERS_PARALLELISM",
    "GIT_AUTHOR_NAME",
    "COMPASS",
    "PATTERN",
    "PRIMARY_KEY",
    "SORT_KEY",
    "PARTITION_KEY",
    "CACHE_KEY",
    "BUILDKITE_STEP_KEY",
    "BITBUCKET_PROJECT_KEY",
    "SSH_PUBLIC_KEY",
    "PAD_TOKEN",
    "STOP_TOKENS",
    "PHOENIX_API_KEY_FILE",
    "GOOGLE_TOKEN_URL",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "KEY_VAULT_NAME",
    "SECRET_NAME",
    "TOKEN_TTL_SECONDS",
    "COOKIE_DOMAIN",
    "PASS_THRESHOLD",
    "GCM_CREDENTIAL_STORE",
    "JWT_ALGORITHM",
    "KEY_COLUMN",
    "AUTH_MODE",
    "AUTH_TYPE",
    "PASSWORD_MIN_LENGTH",
    "KEYCLOAK_URL",
    "PEM_PATH",
    "SECRET_BACKEND",
    "COOKIE_NAME",
    "TOKEN_LIMIT",
    "DSN_TIMEOUT",
    "PATCH",
    "PATIENT",
    "SPARK_HOME",
    "TURKEY",
    "JOKES",
    "PASSAGE",
]


@pytest.mark.parametrize("name", SECRETS)
def test_a_name_with_a_secret_s_word_is_secret(name):
    assert SecretRules().is_secret(name)
    assert "x9-long-secret-1" in secrets_in({name: " x9-long-secret-1 \n"})


@pytest.mark.parametrize("name", OTHERS)
def test_a_name_that_says_something_else_is_not(name):
    assert not SecretRules().is_secret(name)
    assert secrets_in({name: "x9-long-value-1"}) == []


def test_no_setting_of_evalwire_s_own_is_secret():
    assert not [option.variable for option in OPTIONS if SecretRules().is_secret(option.variable)]


WORDS = [
    "accuracy",
    "customer_id",
    "expected_output",
    "user_query",
    "production",
    "metadata",
    "reference",
    "Authorization",
    "DISABLED",
    "example_id",
]
WORDS += ["Context recall", "model.name", "correctness", "UNDEFINED", "postgres", "changeme", "true", "null"]
NUMBERS = [
    "12345678",
    "0.87654321",
    "-1234567.5",
    "1,234,567",
    "99.12345%",
    "1e-10000000",
    "2026-11-29",
    "100_000_000",
    "10:20:30.5",
]
FIRST = [
    "home",
    "Users",
    "usr",
    "opt",
    "tmp",
    "builds",
    "github",
    "__w",
    "var",
    "app",
    "workspace",
    "run",
    "root",
    "mnt",
]


def paths() -> st.SearchStrategy[str]:
    parts = st.lists(st.text("abcXYZ019._-", min_size=1, max_size=8), max_size=4)
    absolute = st.tuples(st.sampled_from([f"/{one}" for one in FIRST] + ["~", ".", "..", "C:"]), parts)
    files = st.tuples(st.sampled_from(["key", "service-account", "certs/ca"]), st.sampled_from(["json", "pem", "yaml"]))
    return st.one_of(
        absolute.map(lambda path: "/".join([path[0], *path[1]])).filter(lambda path: path[0] == "/" or "/" in path),
        st.lists(st.sampled_from(["/usr/bin", "/opt/a", "/home/u/.local/bin"]), min_size=2).map(":".join),
        files.map(".".join),
    )


CI = {
    "github": "CI GITHUB_ACTIONS GITHUB_ACTION_PATH GITHUB_ACTOR GITHUB_ENV GITHUB_EVENT_PATH GITHUB_HEAD_REF GITHUB_JOB GITHUB_OUTPUT "
    "GITHUB_PATH GITHUB_REF_NAME GITHUB_REPOSITORY GITHUB_SHA GITHUB_STEP_SUMMARY GITHUB_TOKEN GITHUB_WORKFLOW GITHUB_WORKSPACE "
    "ACTIONS_RUNTIME_TOKEN ACTIONS_CACHE_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN RUNNER_TEMP RUNNER_TOOL_CACHE INPUT_KEY INPUT_TOKEN",
    "gitlab": "CI_JOB_TOKEN CI_JOB_JWT CI_REGISTRY_PASSWORD CI_DEPLOY_PASSWORD CI_PROJECT_DIR CI_BUILDS_DIR CI_COMMIT_SHA CI_JOB_NAME "
    "CI_REPOSITORY_URL CI_SERVER_TLS_CA_FILE CI_SERVER_TLS_KEY_FILE CI_DEPENDENCY_PROXY_PASSWORD GITLAB_USER_LOGIN KUBECONFIG",
    "others": "JENKINS_SERVER_COOKIE HUDSON_COOKIE WORKSPACE BUILD_TAG CIRCLE_OIDC_TOKEN CIRCLE_WORKING_DIRECTORY BUILD_SOURCESDIRECTORY "
    "SYSTEM_ACCESSTOKEN AGENT_TOOLSDIRECTORY BITBUCKET_PROJECT_KEY BITBUCKET_CLONE_DIR BITBUCKET_SSH_KEY_FILE BUILDKITE_STEP_KEY "
    "BUILDKITE_AGENT_ACCESS_TOKEN BUILDKITE_BUILD_PATH GPG_KEY TRAVIS_BUILD_DIR CODEBUILD_SRC_DIR",
    "shells": "PATH PWD OLDPWD HOME SHELL SSH_AUTH_SOCK SSH_AGENT_PID GIT_ASKPASS SSL_CERT_FILE LANG TERM XDG_RUNTIME_DIR VIRTUAL_ENV "
    "GOOGLE_APPLICATION_CREDENTIALS AWS_SHARED_CREDENTIALS_FILE PGPASSFILE DOCKER_CERT_PATH POSTGRES_PASSWORD API_KEY MAX_TOKENS "
    "PRIMARY_KEY PASS_RATE COOKIE TLS_PEM SSH_KEY DB_DSN AUTH SECRET_COLUMN TOKENS EVALWIRE_INPUT_KEYS EVALWIRE_OUTPUT_KEYS",
}  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(" ".join(CI.values()).split()),
        st.one_of(paths(), st.sampled_from(NUMBERS), st.integers().map(str), st.floats(allow_nan=False).map(repr)),
    )
)
def test_no_path_and_no_number_of_a_whole_environment_is_masked(environ):
    text = "\n".join(environ.values())
    mask = Mask()
    mask.learn(environ)
    assert mask(text) == text


@given(
    st.dictionaries(
        st.sampled_from(" ".join(CI.values()).split()),
        st.sampled_from(["postgres", "changeme", "password", "true", "false", ""]),
    )
)
def test_no_common_word_of_a_whole_environment_is_masked(environ):
    mask = Mask()
    mask.learn(environ)
    assert mask("postgres password changeme true false") == "postgres password changeme true false"


@pytest.mark.parametrize("word", WORDS)
def test_the_name_of_a_column_is_masked_for_no_key(word):
    for name in ("INPUT_KEY", "CACHE_KEYS", "JOIN_TOKEN", "API_KEY", "COOKIE", "MAPPING_KEYS"):
        assert secrets_in({name: word}) == [], name


def test_names_of_variables_that_hold_secrets_are_none():
    environ = {
        "APP_SECRETS": "PHOENIX_API_KEY,OPENAI_API_KEY",
        "JUDGE_SECRET": "OPENAI_API_KEY",
        "PASSWORD": "ABC_DEF_0123",
    }
    assert secrets_in(environ) == ["ABC_DEF_0123"]


def test_a_password_may_be_a_word():
    assert secrets_in({"DB_PASSWORD": "hunterhunter", "APP_SECRET": "verysecretword"}) == [
        "hunterhunter",
        "verysecretword",
    ]


def test_what_begins_with_a_slash_need_not_be_a_path():
    """One secret in 64 does, where it is base64."""
    assert secrets_in({"AWS_SECRET_ACCESS_KEY": "/wJalrXUtnFEMI/K7MDENG+bPxRfiCY="}) == [
        "/wJalrXUtnFEMI/K7MDENG+bPxRfiCY="
    ]


@given(
    st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=8, max_size=40),
    st.binary(max_size=7),
    st.binary(max_size=7),
)
def test_a_secret_is_masked_within_any_base64(secret, before, after):
    mask = Mask([secret])
    assert mask(base64.b64encode(secret.encode()).decode()) == "***"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = mask(encode(before + secret.encode() + after).decode())
        assert "***" in text
        assert len(text) < len("***") + len(before) * 2 + len(after) * 2 + 12


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({"DATABASE_URL": "postgres://me:pass-0123456@host/db"}, "pass-0123456"),
        ({"PIP_EXTRA_INDEX_URL": "https://ghp_0123456789abcdef@host/simple"}, "ghp_0123456789abcdef"),
        ({"CONNINFO": "host=db password=pw-0123456789 user=me"}, "pw-0123456789"),
        ({"STORAGE": "AccountName=x;AccountKey=abcd0123+/==;EndpointSuffix=core"}, "abcd0123+/=="),
        ({"CALLBACK": "https://x/?api_key=q-0123456789&sig=s-0123%2F4567"}, "q-0123456789 s-0123%2F4567 s-0123/4567"),
        ({"DOCKER_ARGS": "--build-arg NPM_TOKEN=npm-0123456789 ."}, "npm-0123456789"),
        ({"JAVA_OPTS": "-Xmx1g -Dtrust.password=java-0123456"}, "java-0123456"),
        ({"GCP_CREDENTIALS": json.dumps({"type": "service_account", "private_key": "pk-0123\n456789"}, indent=1)}, "pk-0123\n456789"),
        ({"SLACK_WEBHOOK_URL": "https://hooks.example/services/T0/B0/ffff1111"}, "services/T0/B0/ffff1111"),
        ({"SESSION_COOKIE": "sid=abcdef0123; theme=dark"}, "abcdef0123"),
        ({"KEY_B64": base64.b64encode(b"inner-0123456").decode()}, "inner-0123456"),
        ({"PHOENIX_CLIENT_HEADERS": "authorization=Basic%20" + base64.b64encode(b"u:basic-0123").decode()}, "basic-0123"),
        ({"PHOENIX_CLIENT_HEADERS": "Authorization: Bearer sk-0123456789"}, "sk-0123456789"),
    ],
)  # fmt: skip
def test_secrets_within_values_are_found(environ, shown):
    mask = Mask()
    mask.learn(environ)
    for secret in shown.split(" "):
        assert mask(f"x{secret}x") == "x***x"
    common = "service_account dark core me host db AccountName -----BEGIN PRIVATE KEY-----"
    assert mask(common) == common


def test_settings_add_variables_and_remove_them():
    rules = SecretRules(named=frozenset(["TEAM", "PIN", "BOTH"]), excepted=frozenset(["OPENAI_API_KEY", "BOTH"]))
    environ = {
        "TEAM": "customer_id",
        "PIN": "4711",
        "BOTH": "x-0123456789",
        "OPENAI_API_KEY": "sk-0123456789",
        "A_KEY": "a-0123456789",
    }
    mask = Mask(["given-0123"])
    mask.learn(environ)
    mask.follow(rules, environ)
    assert (
        mask("customer_id 4711 x-0123456789 sk-0123456789 a-0123456789 given-0123")
        == "*** *** x-0123456789 sk-0123456789 *** ***"
    )
    assert [name for name in environ if mask.is_secret(name)] == ["TEAM", "PIN", "A_KEY"]


def test_secrets_are_masked_from_the_moment_on_at_which_code_sets_them(monkeypatch):
    """By whichever way, from whichever thread, and also when the variable is gone again."""
    mask = Mask()
    mask.watch()
    monkeypatch.setenv("LATE_API_KEY", "late-0123456789")
    assert mask("late-0123456789") == "***"
    monkeypatch.delenv("LATE_API_KEY")
    os.putenv("OTHER_TOKEN", "put-0123456789")
    os.unsetenv("OTHER_TOKEN")
    os.environ.update(LATE_SECRET="update-0123456789", LATE_NAME="name-0123456789")
    threads = [threading.Thread(target=os.environ.update, kwargs={f"T{n}_KEY": f"thread-0123-{n}"}) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("LATE_SECRET", "LATE_NAME", *(f"T{n}_KEY" for n in range(20))):
        del os.environ[name]
    text = " ".join(f"thread-0123-{n}" for n in range(20))
    assert mask(f"put-0123456789 update-0123456789 name-0123456789 {text}") == "*** *** name-0123456789" + " ***" * 20


def test_many_secrets_cost_little():
    """A report has many thousands of texts."""
    mask = Mask(f"sk-{number:040d}" for number in range(100))
    text = "an output of a model " * 50
    for _ in range(500):
        assert mask(text) is text

"""Detection of secrets in an environment, by the words in a variable's name and by the form of the value."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

HEADER_VARIABLES = ("PHOENIX_CLIENT_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")

SHORTEST = 8  # characters; masking shorter values would hide ordinary words
_SHORTEST_NAMED = 4  # for variables that the user has named
_SHORTEST_TOKEN = 16  # where a user name is possible, too
_SHORTEST_RANDOM = 16  # letters; fewer may be a word

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PASSWORDS = _words("PASSWORD PASSWORDS PASSWD PASSPHRASE PASS PWD PW SECRET SECRETS")
_KEYS, _TOKENS = _words("KEY KEYS"), _words("TOKEN TOKENS")
_OTHERS = _words(
    "APIKEY APIKEYS ACCESSKEY ACCOUNTKEY AUTHKEY PRIVATEKEY SECRETKEY CREDENTIAL CREDENTIALS CREDS PAT DSN WEBHOOK "
    "WEBHOOKS CONNECTIONSTRING CONNSTR JWT COOKIE COOKIES PEM AUTH BEARER SAS SALT"
)
_ENDINGS = re.compile(r"(?:PASSWORD|PASSWD|PASSPHRASE|TOKEN|SECRET)S?$")
_PAIRS = (("CONNECTION", "STRING"), ("CONN", "STRING"), ("CONN", "STR"))

# Last words of names whose variables only describe a secret.
_DESCRIPTIONS = _words(
    "AGE ALG ALGORITHM ALGORITHMS ALIAS ATTRIBUTE BACKEND BUDGET CMD COLUMN COLUMNS COMMAND COUNT DAYS DIR DOMAIN "
    "EMAIL ENABLED ENDPOINT EXPIRATION EXPIRES EXPIRY FIELD FIELDS FILE FILENAME FILES FOLDER FORMAT HEADER "
    "HELPER HOST INDEX ISSUER LABEL LENGTH LIMIT LIMITS LOCATION MANAGER MAX METHOD MIN MODE MODEL NAME NAMES "
    "NAMESPACE ORDER PARALLELISM PATH PATHS PERMISSIONS POLICY PORT PREFIX PROVIDER RATE RATIO REGION REQUIRED "
    "ROTATION SCOPE SCOPES SECONDS SIZE SOCK SOCKET STORE SUFFIX THRESHOLD TIMEOUT TTL TYPE URI URL USAGE USER "
    "USERNAME VAR VARIABLE VARIABLES VARS VAULT VERSION"
)
_ADDRESSES = _words("DSN WEBHOOK WEBHOOKS STRING CONNECTIONSTRING SAS")  # the URL is the secret

# Words before KEY or TOKEN in names of variables that are not secret.
_KINDS_OF_KEYS = _words(
    "BUILD CACHE COLUMN COMPOSITE FOREIGN GROUP HOT INDEX ISSUE JOB JOIN NATURAL OBJECT PARTITION PLAN PRIMARY PROJECT "
    "PUBLIC RESULT ROUTING ROW RUN SHARD SORT STEP UNIQUE"
)
_KINDS_OF_TOKENS = _words("BOS CLS COUNT EOS MASK MAX MIN NUM PAD SEP SPECIAL STOP TOTAL UNK")
_NEVER = _words(
    "PWD OLDPWD SSH_AUTH_SOCK EVALWIRE_RUN_KEY EVALWIRE_INPUT_KEYS EVALWIRE_OUTPUT_KEYS EVALWIRE_SECRETS "
    "EVALWIRE_NOT_SECRETS"
)

_NUMBER = re.compile(r"[+-]?[0-9][0-9_,.:eE+-]*%?")
_PATH = re.compile(r"(?:~|\.{1,2}|[A-Za-z]:)[\\/].*|/[A-Za-z]?[a-z0-9._-]*(?:[/:].*)?", re.DOTALL)
_FILE = re.compile(r"[\w.@/\\ -]+\.(?:json|pem|key|crt|cert|cer|p12|pfx|txt|ya?ml|toml|ini|cfg|conf|env|sock)")
_NAME = re.compile(r"[a-z]+(?:[_.][a-z]+)*|[A-Z]+(?:[_.][A-Z]+)*|[A-Z][a-z]+(?: [a-z]+)*")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?:,[A-Z0-9_]+)*")
_ORDINARY = _words(
    "administrator anonymous changeme changeit database development disabled minioadmin password placeholder postgres "
    "postgresql production protected rabbitmq replace_me replace-me required undefined unlimited username your-api-key "
    "your_api_key"
)

_PASSWORD_OF_URL = re.compile(r"://[^\s/@:]*:([^\s/@]+)@")
_TOKEN_OF_URL = re.compile(r"://([^\s/@:]+)@")
_ASSIGNED = re.compile(r"(?:^|[;&?\s,])([\w.-]+)\s*=\s*([^;&\s,]+)")
_OF_QUERIES = ("sig", "signature")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRules:
    """The rules that identify variables with secrets.

    Attributes:
        named: variables that always contain secrets, independent of their names and values.
        excepted: variables that never contain secrets.
    """

    named: frozenset[str] = frozenset()
    excepted: frozenset[str] = frozenset()

    def is_secret(self, name: str) -> bool:
        """Check whether a variable with this name contains a secret."""
        if name in self.excepted or name in self.named:
            return name not in self.excepted
        return name in HEADER_VARIABLES or is_secret_name(name)

    def secrets_in(self, environ: Mapping[str, str]) -> list[str]:
        """Return the secret values of an environment, including secrets in parts of values.

        Values of variables with a secret name are secret, unless they are paths, numbers or ordinary words. Values of
        client headers and passwords in URLs are secret, too. The same is true of values that are assigned to a secret
        name inside a variable's value.
        """
        found: dict[str, None] = {}
        for name, value in environ.items():
            if name in self.named and name not in self.excepted:
                if len(value.strip()) >= _SHORTEST_NAMED:
                    found[value.strip()] = None
                found.update(dict.fromkeys(_parts_of(value)))
            elif name not in self.excepted:
                found.update(dict.fromkeys(_secrets_of(name, value)))
        return list(found)


def is_secret_name(name: str) -> bool:
    """Check whether a name contains a word for a secret and does not only describe a secret."""
    words = [word.upper() for word in _WORD.findall(name)]
    found = [word for index, word in enumerate(words) if _is_secret_word(words, index)]
    last = next((word for word in reversed(words) if not word.isdigit()), "")
    if last in ("URL", "URI") and not _ADDRESSES.isdisjoint(found):
        return True
    return bool(found) and last not in _DESCRIPTIONS and name not in _NEVER


def _is_secret_word(words: list[str], index: int) -> bool:
    word, before = words[index], words[index - 1] if index else ""
    if word in _KEYS:
        return before not in _KINDS_OF_KEYS
    if word in _TOKENS:
        return before not in _KINDS_OF_TOKENS
    return word in _PASSWORDS or word in _OTHERS or _ENDINGS.search(word) is not None or (before, word) in _PAIRS


def _secrets_of(name: str, value: str) -> Iterator[str]:
    """Yield the secrets of a variable."""
    parts = list(_parts_of(value))
    if name in HEADER_VARIABLES:
        parts += _header_values(value)
    elif is_secret_name(name) and not _is_ordinary(value.strip(), of_password=_is_password(name)):
        yield value.strip()
        parts += _within(value.strip(), is_cookie="COOKIE" in name.upper())
    yield from (part.strip() for part in parts if not _is_ordinary(part.strip(), of_password=True))


def _is_password(name: str) -> bool:
    return any(word.upper() in _PASSWORDS for word in _WORD.findall(name)) or "PASSW" in name.upper()


def _is_ordinary(value: str, *, of_password: bool = False) -> bool:
    """Check whether a value is too short to mask, or is a path, a number or an ordinary word.

    A password may be any word except the most common words.
    """
    if len(value) < SHORTEST or value.lower() in _ORDINARY:
        return True
    if _NUMBER.fullmatch(value) or _PATH.fullmatch(value) or _FILE.fullmatch(value) or _is_there(value):
        return True
    if _VARIABLE.fullmatch(value) and is_secret_name(value):  # the name of a secret to look up, or a list of names
        return True
    if of_password or not _NAME.fullmatch(value):
        return False
    return len(value) < _SHORTEST_RANDOM or not value.isalpha()


def _is_there(value: str) -> bool:
    try:
        return value.startswith("/") and os.path.lexists(value)
    except ValueError:  # the value has a NUL, which file names cannot have
        return False


# --- parts of values ---


def _parts_of(value: str) -> Iterator[str]:
    """Yield the passwords of URLs in a value, and the values assigned to secret names in it."""
    if "://" in value and "@" in value:
        yield from _PASSWORD_OF_URL.findall(value)
        for user in _TOKEN_OF_URL.findall(value):
            if len(user) >= _SHORTEST_TOKEN and any(character.isdigit() for character in user):
                yield user
        yield _password_of(value)
    if "=" in value:
        for name, assigned in _ASSIGNED.findall(value):
            if is_secret_name(name) or name.lower() in _OF_QUERIES:
                yield assigned
                yield unquote(assigned)


def _password_of(value: str) -> str:
    """Return the password of a value that as a whole is a URL; it may contain unusual characters."""
    try:
        return urlsplit(value).password or ""
    except ValueError:
        return ""


def _within(secret: str, *, is_cookie: bool) -> Iterator[str]:
    """Yield parts of a secret that are secret on their own."""
    yield from _decoded(secret)
    if "://" in secret:  # the path of a webhook is secret
        path = secret.partition("://")[2].partition("/")[2]
        if len(path) >= _SHORTEST_TOKEN:
            yield path
    if secret[:1] in "{[":
        with contextlib.suppress(ValueError, RecursionError):
            yield from _secrets_of_json(json.loads(secret))
    if is_cookie:
        yield from (pair.partition("=")[2] for pair in secret.split(";"))


def _secrets_of_json(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(item, str) and is_secret_name(str(name)):
                yield item
            else:
                yield from _secrets_of_json(item)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets_of_json(item)


def _header_values(headers: str) -> Iterator[str]:
    """Yield the values of `name=value,name=value`, both raw and decoded, with and without `Bearer`."""
    for pair in headers.split(","):
        value = pair.partition("=")[2].strip()
        for form in (value, unquote(value)):
            yield form
            bare = form.partition(" ")[2].strip()
            yield bare
            yield from _decoded(bare)
    if "=" not in headers:  # an invalid form
        yield headers.strip()
        yield headers.rpartition(" ")[2].strip(" \"'}")


def _decoded(secret: str) -> Iterator[str]:
    """Decode a secret in base64; yield the text, and the password if the text is `user:password`."""
    if len(secret) < SHORTEST or len(secret) % 4:
        return
    try:
        text = base64.b64decode(secret, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return
    if text.isprintable():
        yield text
        yield text.partition(":")[2]

"""Read the fields of an invoice from its plain text."""

from __future__ import annotations

import re
from datetime import date, timedelta

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SYMBOLS = {"€": "EUR", "$": "USD", "£": "GBP"}

_NUMBER = re.compile(r"(?i)\binvoice\s*(?:number|no\.?|#)?\s*:?\s*#?\s*([A-Z]{0,4}[-/]?\d[\w/-]*)")
_ISSUED = re.compile(r"(?im)^(?:invoice date|date of issue|issued(?: on)?|date)\b[:\s]*(.+)$")
_DUE = re.compile(r"(?im)^(?:due(?: date| on| by)?|payable by|pay by)\b[:\s]*(.+)$")
_TERM = re.compile(r"(?i)\b(?:net|within|terms:)\s*(\d+)")
_TOTAL = re.compile(r"(?im)^(?:grand total|total due|amount due|balance due|total)\b[:\s]*(.*\d.*)$")
_AMOUNT = re.compile(r"\d[\d.,' ]*")
_CENTS = re.compile(r"[.,](\d{2})$")
_CURRENCY = re.compile(r"\b(EUR|USD|GBP|CHF)\b|([€$£])")
_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_DAY_FIRST = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4})")
_DAY_MONTH = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?\s+([A-Za-z]{3})[a-z]*\.?,?\s+(\d{4})")
_MONTH_DAY = re.compile(r"([A-Za-z]{3})[a-z]*\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})")


def extract(text: str) -> dict[str, str | None]:
    """Return the number, dates, currency and total of an invoice, with None for missing fields."""
    issued = parse_date(_first(_ISSUED, text))
    due = parse_date(_first(_DUE, text)) or _due_by_term(issued, text)
    totals = _TOTAL.findall(text)
    total = totals[-1] if totals else ""
    return {
        "number": _first(_NUMBER, text) or None,
        "issued": issued.isoformat() if issued else None,
        "due": due.isoformat() if due else None,
        "currency": parse_currency(total) or parse_currency(text),
        "total": parse_amount(total),
    }


def parse_date(text: str) -> date | None:
    """Return the first date in `text`; numeric dates are day first."""
    try:
        if found := _ISO_DATE.search(text):
            return date(int(found[1]), int(found[2]), int(found[3]))
        if found := _DAY_FIRST.search(text):
            return date(int(found[3]), int(found[2]), int(found[1]))
        if found := _DAY_MONTH.search(text):
            return date(int(found[3]), _month(found[2]), int(found[1]))
        if found := _MONTH_DAY.search(text):
            return date(int(found[3]), _month(found[1]), int(found[2]))
    except ValueError:
        return None  # not a valid day or month
    return None


def parse_amount(text: str) -> str | None:
    """Return the first amount in `text` as plain decimal text, for any separators."""
    found = _AMOUNT.search(text)
    if found is None:
        return None
    amount = found[0].strip(" .,'")
    cents = _CENTS.search(amount)
    whole = amount[: cents.start()] if cents else amount
    return re.sub(r"\D", "", whole) + "." + (cents[1] if cents else "00")


def parse_currency(text: str) -> str | None:
    """Return the ISO code of the first currency named in `text`."""
    found = _CURRENCY.search(text)
    if found is None:
        return None
    return found[1] or _SYMBOLS[found[2]]


def _month(name: str) -> int:
    """Return the number of a month by the first three letters of its English name."""
    return _MONTHS.index(name.lower()) + 1


def _due_by_term(issued: date | None, text: str) -> date | None:
    """Return the day on which a term such as "net 30" ends."""
    term = _first(_TERM, text)
    return issued + timedelta(days=int(term)) if issued and term else None


def _first(pattern: re.Pattern[str], text: str) -> str:
    """Return the first group of the first match, or an empty text."""
    found = pattern.search(text)
    return found[1].strip() if found else ""

"""Spaces that a sentence describes, the closest first: PostgreSQL's full text search, in English."""

from __future__ import annotations

import re
from functools import reduce
from operator import or_

from django.contrib.postgres.search import SearchQuery, SearchRank, SearchVector
from django.db.models import F, QuerySet, TextField, Value
from django.db.models.functions import Cast, Replace

from spaces.models import Space

WORDS = 16  # of a question that are searched for
ENGLISH = "english"
_WORD = re.compile(r"\w+")


def described(found: QuerySet[Space], question: str) -> QuerySet[Space]:
    """Those that have any word of the question in their title, name, description or tags, each with
    `relevance`; the closest first."""
    words = _WORD.findall(question)[:WORDS]
    if not words:
        return found.none()
    query = reduce(or_, (SearchQuery(word, config=ENGLISH) for word in words))
    text = (
        SearchVector(_apart("title"), _apart("name"), weight="A", config=ENGLISH)
        + SearchVector("short_description", weight="B", config=ENGLISH)
        + SearchVector(Cast("card__tags", TextField()), Cast("card__models", TextField()), config=ENGLISH)
        + SearchVector("owner__name", weight="D", config=ENGLISH)
    )
    ranked = found.annotate(text=text, relevance=SearchRank(F("text"), query, normalization=32))
    return ranked.filter(text=query).order_by("-relevance", "-likes", "pk")


def _apart(field: str) -> Replace:
    """Without hyphens: PostgreSQL takes that of `demo-7` for the sign of a number."""
    return Replace(F(field), Value("-"), Value(" "))

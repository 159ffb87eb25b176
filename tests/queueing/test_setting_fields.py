"""A queue setting is declared once; everything else is made of the declaration."""

from __future__ import annotations

from dataclasses import asdict, fields

from queueing.queue_settings import clean
from queueing.setting_fields import FIELDS, Settings


def test_each_setting_is_declared_whole() -> None:
    assert [field.name for field in FIELDS] == [field.name for field in fields(Settings)]
    for field in FIELDS:
        assert field.title, field.name
        assert field.help.endswith("."), field.name
        assert field.kind == "bool" or field.choices or field.low < field.high, field.name
        assert not field.choices or field.default in field.choices, field.name


def test_defaults_are_values_that_an_owner_may_set() -> None:
    assert {field.name: clean(field.name, field.default) for field in FIELDS} == asdict(Settings())

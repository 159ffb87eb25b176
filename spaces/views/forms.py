"""Input of the pages, checked; every refusal names its field."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django import forms
from django.http import QueryDict

from queueing import queue_settings
from queueing.setting_fields import FIELDS, GROUP
from spaces import names
from spaces.community import templates
from spaces.community.templates import SpaceTemplate
from spaces.models import Sdk, Visibility
from spaces.secrets import KEY, VALUE_LIMIT

SLEEP_TIMES = {"": "Never", "300": "5 minutes", "1800": "30 minutes", "3600": "1 hour", "86400": "1 day"}


def typed_settings(posted: QueryDict) -> tuple[dict[str, Any], dict[str, str]]:
    """The queue settings of a posted form: their values, and the refusals by name."""
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for field in FIELDS:
        text = posted.get(field.name, "").strip()
        value: Any = text == "on" if field.kind == "bool" else text
        if field.kind in ("int", "int or none"):
            value = _number(text)
        if value == "" and field.kind == "int or none":
            value = None
        try:
            values[field.name] = queue_settings.clean(field.name, value)
        except queue_settings.BadSetting as error:
            errors[field.name] = str(error).replace(field.name, field.title, 1)
    return values, errors


def typed_numbers(
    posted: QueryDict, groups: list[queue_settings.GroupLimit]
) -> tuple[dict[str, int | str | None], dict[str, str]]:
    """The numbers of single groups in a posted form that are others than now, and the refusals by group.
    Empty: the code's again; "none": no limit."""
    values: dict[str, int | str | None] = {}
    errors: dict[str, str] = {}
    for group in groups:
        text = posted.get(GROUP + group.group)
        if text is None or text.strip() == shown_number(group):
            continue
        text = text.strip()
        if not text:
            values[group.group] = queue_settings.DEFAULT
            continue
        try:
            number = None if text.lower() == "none" else _number(text)
            values[group.group] = queue_settings.clean_number(group.group, number)
        except queue_settings.BadSetting as error:
            errors[group.group] = str(error)
    return values, errors


def shown_number(group: queue_settings.GroupLimit) -> str:
    """The value of a group's field: the owner's number, if any."""
    if group.source != "owner":
        return ""
    return "none" if group.limit is None else str(group.limit)


def group_rows(
    groups: list[queue_settings.GroupLimit],
    each: int | None,
    posted: QueryDict | None = None,
    errors: dict[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The groups as the page shows them; one of a single function by that alone. None where the Space has
    only one: its number is `concurrency_count`."""
    if len(groups) < 2 and all(group.source == "default" for group in groups):
        return []
    rows = []
    for at, group in enumerate(groups):
        functions = ", ".join(group.functions)
        limit, source = (
            (each, "the default") if group.without == queue_settings.DEFAULT else (group.without, "the code")
        )
        name = GROUP + group.group
        rows.append({
            "id": f"group-{at}",
            "name": name,
            "title": functions if functions == group.group else f"{group.group}: {functions}",
            "value": shown_number(group) if posted is None else posted.get(name, ""),
            "placeholder": f"{'no limit' if limit is None else limit}, from {source}",
            "error": (errors or {}).get(group.group, ""),
        })  # fmt: skip
    return rows


def _number(text: str) -> int | str:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 12 else text


def setting_rows(
    space_id: int,
    posted: QueryDict | None = None,
    errors: dict[str, str] | None = None,
    *,
    several: bool = False,
) -> Any:
    """The settings as the page shows them: what was typed where it was refused, else what is in force. A
    total of all functions is shown only where there are `several`."""
    now = asdict(queue_settings.effective(space_id))
    return [
        {
            "field": field,
            "value": now[field.name] if posted is None else posted.get(field.name, ""),
            "error": (errors or {}).get(field.name, ""),
        }
        for field in FIELDS
        if field.name != "max_running" or several or now["max_running"] is not None
    ]


class VariableForm(forms.Form):
    """One environment variable, or secret."""

    key = forms.RegexField(
        rf"\A{KEY.pattern}\Z",
        max_length=128,
        error_messages={
            "required": "Give it a name.",
            "invalid": "Letters, digits and '_', not a digit first.",
        },
    )
    value = forms.CharField(max_length=VALUE_LIMIT, required=False, strip=False)
    description = forms.CharField(max_length=300, required=False)


class NewSpace(forms.Form):
    """A Space to make."""

    owner = forms.CharField(max_length=96)
    name = forms.CharField(max_length=96, error_messages={"required": "Give it a name."})
    sdk = forms.ChoiceField(choices=Sdk.choices, initial=Sdk.GRADIO)
    template = forms.CharField(max_length=96, required=False)
    visibility = forms.ChoiceField(choices=Visibility.choices, initial=Visibility.PUBLIC)

    def clean_name(self) -> str:
        """The name by the Hub's rules."""
        try:
            return names.check_repo_name(self.cleaned_data["name"])
        except names.BadRepoId as error:
            raise forms.ValidationError(str(error)) from error

    def clean_template(self) -> SpaceTemplate | None:
        """The template, where one was chosen."""
        name = self.cleaned_data["template"]
        if name and templates.find(name) is None:
            raise forms.ValidationError("There is no such template.")
        return templates.find(name)


class SleepTime(forms.Form):
    """When the Space sleeps."""

    seconds = forms.IntegerField(required=False, min_value=60, max_value=10**7)

"""A tier as administrators write it, on the console's page and by the API: checked, every refusal by its
field. Memory in GiB."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.validators import RegexValidator
from django.db import IntegrityError, transaction

from accounts.models import Owner
from hardware.models import HardwareTier
from hardware.tiers import GIB, TIERS

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_ALIASES = 20
MOST_OWNERS = 1000
ALIAS = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
BETWEEN = re.compile(r"[\s,]+")


class TierForm(forms.Form):
    """The values of a tier; `row`: the one to change, None for a new one. Names in lists are separated by
    commas or blanks."""

    name = forms.CharField(
        max_length=16,
        help_text="In orders and on the command line. It cannot be changed later.",
        validators=[
            RegexValidator(r"\A[a-z][a-z0-9-]*\Z", "Lower-case letters, digits and '-', a letter first.")
        ],
    )
    title = forms.CharField(max_length=60, help_text="As pages show it.")
    note = forms.CharField(max_length=200, required=False, help_text="What it is good for, in a sentence.")
    cpus = forms.FloatField(label="Cores", min_value=0.1, max_value=1024)
    memory_gb = forms.FloatField(label="Memory in GiB", min_value=0.125, max_value=64 * 1024)
    pids = forms.IntegerField(label="Processes", min_value=16, max_value=1_000_000, initial=512)
    gpu = forms.CharField(
        label="GPU",
        max_length=40,
        required=False,
        help_text="Words of its model's name, as nvidia-smi prints them: T4. Empty for none.",
        validators=[RegexValidator(r"\A[\w.+]+( [\w.+]+)*\Z", "Words of its model's name: T4.")],
    )
    gpu_memory_gb = forms.FloatField(
        label="Memory of the GPU in GiB", min_value=0, max_value=1024, required=False
    )
    aliases = forms.CharField(
        label="The Hub's names for it",
        max_length=900,
        required=False,
        help_text="Like t4-small. The first is the one in answers. Separate them by commas.",
    )
    sandbox = forms.CharField(
        max_length=40,
        required=False,
        help_text="The runtime of the nodes' engines that its Spaces run in: runsc is gVisor. Empty for the "
        "engine's own.",
        validators=[RegexValidator(r"\A[A-Za-z0-9][\w.-]*\Z", "As `docker info` names it: runsc.")],
    )
    price_per_hour = forms.DecimalField(
        label="Price an hour", min_value=0, max_digits=10, decimal_places=4, required=False
    )
    most_per_owner = forms.IntegerField(
        label="Replicas of one owner at once", min_value=1, max_value=10**6, required=False
    )
    is_closed = forms.BooleanField(
        label="Closed", required=False, help_text="No Space can move to it; those on it stay."
    )
    is_restricted = forms.BooleanField(label="For these owners only", required=False)
    owners = forms.CharField(
        max_length=100_000, required=False, help_text="Users and organizations, separated by commas."
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, row: HardwareTier | None = None) -> None:
        super().__init__(data, initial=values_of(row) if row else None)
        self._row = row

    def clean_name(self) -> str:
        """No other's name or alias; a tier keeps its own, for Spaces and Celery's queues name it."""
        name: str = self.cleaned_data["name"]
        if self._row is not None and name != self._row.name:
            raise forms.ValidationError("A tier keeps its name. Make another one, and close this.")
        return self._free(name)

    def clean_aliases(self) -> list[str]:
        """Each a name as the Hub's are, and nobody else's."""
        aliases = _split(self.cleaned_data["aliases"])
        if len(aliases) > MOST_ALIASES:
            raise forms.ValidationError(f"At most {MOST_ALIASES}.")
        for alias in aliases:
            if not ALIAS.fullmatch(alias):
                raise forms.ValidationError(f"'{alias}': lower-case letters, digits and '-', at most 40.")
            self._free(alias)
        return aliases

    def clean_owners(self) -> list[Owner]:
        """Users and organizations that there are."""
        names = _split(self.cleaned_data["owners"])
        if len(names) > MOST_OWNERS:
            raise forms.ValidationError(f"At most {MOST_OWNERS}.")
        found = {owner.name.lower(): owner for owner in Owner.objects.filter(name__in=names)}
        for name in names:
            owner = found.get(name.lower()) or Owner.objects.filter(name__iexact=name).first()
            if owner is None:
                raise forms.ValidationError(f"There is no user or organization '{name[:96]}'.")
            found[name.lower()] = owner
        return [found[name.lower()] for name in names]

    def clean(self) -> dict[str, Any]:
        """A GPU has a model and memory, and who may use a restricted tier is named."""
        values = self.cleaned_data
        if {"gpu", "gpu_memory_gb"} <= values.keys() and bool(values["gpu"]) != bool(values["gpu_memory_gb"]):
            if values["gpu"]:
                self.add_error("gpu_memory_gb", "How much memory the GPU has.")
            else:
                self.add_error("gpu", "The model that has this memory.")
        if values.get("owners") and not values.get("is_restricted"):
            self.add_error("owners", "They are named, but everybody may use it: restrict it, or name nobody.")
        if values.get("name") in values.get("aliases", ()):
            self.add_error("aliases", f"'{values['name']}' is its name already.")
        return values

    def save(self) -> HardwareTier:
        """Make or change it: seen by every process within seconds.

        Raises:
            forms.ValidationError: another tier of this name was made meanwhile.
        """
        values = self.cleaned_data
        row = self._row or HardwareTier(name=values["name"])
        same = ("title", "note", "cpus", "pids", "gpu", "aliases", "sandbox", "most_per_owner", "is_closed")
        for name in same:
            setattr(row, name, values[name])
        row.memory_bytes = round(values["memory_gb"] * GIB)
        row.gpu_memory_bytes = round((values["gpu_memory_gb"] or 0) * GIB)
        row.price_per_hour = values["price_per_hour"] or Decimal(0)
        row.is_restricted = values["is_restricted"]
        try:
            with transaction.atomic():
                row.save()
                row.owners.set(values["owners"])
        except IntegrityError as error:
            raise forms.ValidationError(f"There is a tier '{row.name}' already.") from error
        transaction.on_commit(TIERS.forget)
        return row

    def _free(self, name: str) -> str:
        for tier in HardwareTier.objects.exclude(name=self._row.name if self._row else ""):
            if name == tier.name or name in tier.aliases:
                raise forms.ValidationError(f"'{name}' is {tier.title} hardware already.")
        return name


def values_of(row: HardwareTier) -> dict[str, Any]:
    """As the form shows it."""
    return {
        "name": row.name,
        "title": row.title,
        "note": row.note,
        "cpus": row.cpus,
        "memory_gb": row.memory_bytes / GIB,
        "pids": row.pids,
        "gpu": row.gpu,
        "gpu_memory_gb": row.gpu_memory_bytes / GIB,
        "aliases": ", ".join(row.aliases),
        "sandbox": row.sandbox,
        "price_per_hour": row.price_per_hour,
        "most_per_owner": row.most_per_owner,
        "is_closed": row.is_closed,
        "is_restricted": row.is_restricted,
        "owners": ", ".join(row.owners.order_by("name").values_list("name", flat=True)),
    }


def _split(text: str) -> list[str]:
    return list(dict.fromkeys(word for word in BETWEEN.split(text) if word))

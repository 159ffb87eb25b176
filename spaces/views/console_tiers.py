"""The console's pages of hardware tiers."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hardware import nodes
from hardware.models import HardwareTier
from hardware.tiers import rows
from hardware.tiers.form import TierForm
from spaces.models import Space
from spaces.room import tiers
from spaces.views.console import staff_only


@never_cache
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """All tiers."""
    staff_only(request)
    on_it = Space.objects.filter(hardware=OuterRef("name")).values("hardware")
    count = Coalesce(Subquery(on_it.annotate(count=Count("pk")).values("count")), 0)
    found = HardwareTier.objects.order_by("pk").annotate(spaces=count).prefetch_related("owners")
    up = {offer.tier: offer for offer in nodes.offers()}
    shown = [{"row": row, "price": rows.of(row).price, "offer": up.get(row.name)} for row in found]
    return render(request, "console/tiers.html", {"rows": shown, "currency": settings.SPACEPORT_CURRENCY})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, name: str = "") -> HttpResponse:
    """One tier's form; without a name that of a new one."""
    staff_only(request)
    row = get_object_or_404(HardwareTier, name=name) if name else None
    form = TierForm(request.POST if request.method == "POST" else None, row=row)
    if form.is_valid():
        try:
            saved = form.save()
        except forms.ValidationError as error:
            form.add_error("name", error)
        else:
            messages.success(request, f"{saved} is saved. What runs has its limits from its next start.")
            return redirect("console-tiers")
    status = 422 if form.is_bound else 200
    return render(request, "console/tier.html", {"form": form, "row": row}, status=status)


@require_POST
def delete(request: HttpRequest, name: str) -> HttpResponse:
    """Delete one that nothing uses."""
    staff_only(request)
    row = get_object_or_404(HardwareTier, name=name)
    try:
        tiers.delete(row)
    except tiers.InUse as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{row} is deleted.")
    return redirect("console-tiers")

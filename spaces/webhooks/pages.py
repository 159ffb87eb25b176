"""The page of one's webhooks, with what was sent and what came back."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import User
from spaces.models import Webhook, WebhookDelivery
from spaces.webhooks import deliveries, events, hooks

SHOWN = 10  # deliveries of each


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """One's webhooks; POST makes one."""
    assert isinstance(request.user, User)
    error = ""
    if request.method == "POST":
        words = request.POST.get("watched", "").split()
        watched = [_item(word) for word in words]
        given = request.POST.getlist("domains")
        secret = request.POST.get("secret", "").strip()
        try:
            hooks.create(
                request.user,
                url=request.POST.get("url", "").strip(),
                watched=watched,
                domains=given,
                secret=secret,
            )
        except hooks.BadHook as problem:
            error = str(problem)
        else:
            messages.success(request, "The webhook is made. It hears of what happens from now on.")
            return redirect("webhooks")
    found = request.user.webhooks.order_by("-pk")
    rows = [(hook, list(hook.deliveries.order_by("-pk")[:SHOWN])) for hook in found]
    context = {
        "rows": rows,
        "error": error,
        "posted": request.POST,
        "watched": request.GET.get("watched", ""),
    }
    return render(request, "spaces/webhooks.html", context, status=422 if error else 200)


def _item(word: str) -> dict[str, str]:
    """`owner/name` is a Space; `user:alice` and `org:lab` are written with their kind."""
    kind, colon, name = word.partition(":")
    return {"type": kind, "name": name} if colon else {"type": "space", "name": word}


@login_required
@require_POST
def act(request: HttpRequest, number: int, action: str) -> HttpResponse:
    """Enable, disable or delete a webhook."""
    assert isinstance(request.user, User)
    hook = Webhook.objects.filter(pk=number, user=request.user).first()
    if hook is None or action not in ("enable", "disable", "delete"):
        raise Http404("There is no such webhook.")
    if action == "delete":
        hook.delete()
    else:
        hooks.set_disabled(hook, action == "disable")
    messages.success(request, f"The webhook is {action}d.")
    return redirect("webhooks")


@login_required
@require_POST
def again(request: HttpRequest, delivery: int) -> HttpResponse:
    """Send one delivery once more."""
    assert isinstance(request.user, User)
    row = WebhookDelivery.objects.filter(pk=delivery, webhook__user=request.user).first()
    if row is None:
        raise Http404("There is no such delivery.")
    deliveries.again(row)
    events.hint()
    messages.success(request, "It is sent again.")
    return redirect("webhooks")

"""OAuth's two addresses for programs, `/oauth/device` (RFC 8628) and `/oauth/token` (RFC 6749, 8628 and
8693), and the page on which a user agrees."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from accounts import devices, throttle
from accounts.devices import OAuthError
from accounts.models import AccessToken, User
from spaces.api.hub import base_url
from spaces.signin import exchange

BODY_BYTES = 64 * 1024
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
NEVER_STORED = {"Cache-Control": "no-store"}


@csrf_exempt
@require_http_methods(["POST"])
def device(request: HttpRequest) -> HttpResponse:
    """A program wants to sign in its user."""
    try:
        device_code, user_code = devices.start(throttle.address_of(request))
    except devices.TooMany:
        return _refusal(OAuthError("slow_down", "Too many sign-ins wait: try again in some minutes.", 429))
    page = f"{base_url(request)}/oauth/activate"
    value = {
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?code={user_code}",
        "expires_in": int(devices.LIFE.total_seconds()),
        "interval": devices.INTERVAL_S,
    }
    return JsonResponse(value, headers=NEVER_STORED)


@csrf_exempt
@require_http_methods(["POST"])
def token(request: HttpRequest) -> HttpResponse:
    """A program requests a token."""
    try:
        values = _values(request)
        match values.get("grant_type"):
            case str(grant) if grant == DEVICE:
                return _granted(*devices.poll(_text(values, "device_code")))
            case "refresh_token":
                return _granted(*devices.renew(_text(values, "refresh_token")))
            case str(grant) if grant == EXCHANGE:
                return JsonResponse(exchange.exchange(values, base_url(request)), headers=NEVER_STORED)
        raise OAuthError(
            "unsupported_grant_type", f"grant_type can be {DEVICE}, refresh_token or {EXCHANGE}."
        )
    except OAuthError as error:
        waits = error.code in ("authorization_pending", "slow_down")
        if not waits and throttle.too_many_tokens(request):
            error = OAuthError("slow_down", "Too many refused requests came from your address: wait.", 429)
        return _refusal(error)


def _values(request: HttpRequest) -> dict[str, Any]:
    """The body, as a form or as JSON.

    Raises:
        OAuthError
    """
    if request.content_type != "application/json":
        return {key: value for key, value in request.POST.items() if isinstance(value, str)}
    try:
        value = json.loads(request.read(BODY_BYTES))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise OAuthError(
            "invalid_request", f"The body must be a form or a JSON object of at most {BODY_BYTES} bytes."
        )
    return value


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= 200 or not value.isascii():
        raise OAuthError("invalid_request", f"{key} is missing.")
    return value


def _granted(plain: str, refresh: str) -> HttpResponse:
    value = {
        "access_token": plain,
        "token_type": "bearer",
        "expires_in": int(devices.TOKEN_LIFE.total_seconds()),
        "refresh_token": refresh,
    }
    return JsonResponse(value, headers=NEVER_STORED)


def _refusal(error: OAuthError) -> HttpResponse:
    value = {"error": error.code, "error_description": str(error)}
    return JsonResponse(value, status=error.status, headers=NEVER_STORED)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def activate(request: HttpRequest) -> HttpResponse:
    """The user types the code that the program shows, sees where the request comes from, and agrees or
    refuses."""
    assert isinstance(request.user, User)
    typed = (request.POST.get("code") or request.GET.get("code", ""))[:40]
    if typed and throttle.too_many_codes(request.user.pk):
        error = {"error": "Too many codes were typed. Wait five minutes."}
        return render(request, "accounts/device.html", error, status=429)
    row = devices.waiting(typed)
    context: dict[str, Any] = {"code": typed, "row": row}
    if typed and row is None:
        context["error"] = "No program waits with this code. Codes are good for 15 minutes."
    decision = request.POST.get("decision", "")
    if row is None or decision not in ("agree", "refuse"):
        return render(request, "accounts/device.html", context, status=422 if "error" in context else 200)
    scope = request.POST.get("scope", "")
    scope = scope if scope in AccessToken.Scope.values else AccessToken.Scope.READ
    devices.decide(row, request.user, scope if decision == "agree" else "")
    return render(request, "accounts/device.html", {"done": decision})

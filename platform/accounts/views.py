"""Signing in, and the tokens that programs use."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import tokens
from accounts.forms import NewToken
from accounts.models import AccessToken, User

MOST_TOKENS = 100


class SignIn(LoginView):
    """The sign-in page; who is signed in already goes on."""

    template_name = "accounts/login.html"
    redirect_authenticated_user = True


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def tokens_page(request: HttpRequest) -> HttpResponse:
    """The user's tokens; POST makes one and shows its value, this once."""
    assert isinstance(request.user, User)
    mine = AccessToken.objects.filter(user=request.user).order_by("-created_at")
    form = NewToken(request.POST or None, initial={"scope": AccessToken.Scope.WRITE})
    plain = ""
    if request.method == "POST" and form.is_valid():
        if mine.count() >= MOST_TOKENS:
            form.add_error(None, f"You have {MOST_TOKENS} tokens. Revoke one you no longer use first.")
        else:
            _, plain = tokens.issue(request.user, form.cleaned_data["name"], form.cleaned_data["scope"])
            form = NewToken(initial={"scope": AccessToken.Scope.WRITE})
    context = {"form": form, "tokens": mine, "plain": plain, "platform_url": settings.SPACEPORT_URL}
    return render(request, "accounts/tokens.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    """End one of the user's own tokens."""
    assert isinstance(request.user, User)
    deleted, _ = AccessToken.objects.filter(pk=token_id, user=request.user).delete()
    if not deleted:
        raise Http404("There is no such token.")
    messages.success(request, "The token is revoked: programs that used it are signed out.")
    return redirect("tokens")

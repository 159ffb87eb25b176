"""Signing in, and the tokens that programs use."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME, login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.views import LoginView, PasswordChangeView, redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import people, throttle, tokens
from accounts.forms import NewToken, SignUp
from accounts.models import AccessToken, User
from accounts.throttle import Try

MOST_TOKENS = 100
RETRY = {"Retry-After": str(throttle.WINDOW_S)}


class SignIn(LoginView):
    """The sign-in page; a signed-in user is redirected."""

    template_name = "accounts/login.html"
    redirect_authenticated_user = True
    extra_context = {"signup": settings.SPACEPORT_SIGNUP}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Check the password, unless too many were wrong before."""
        self.tried = Try.of(request, request.POST.get("username", ""))
        if self.tried.may_go_on():
            return super().post(request, *args, **kwargs)
        form = AuthenticationForm(initial={"username": request.POST.get("username", "")})
        context = self.get_context_data(form=form, throttled=True)
        return self.render_to_response(context, status=429, headers=RETRY)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Signed in."""
        answer = super().form_valid(form)
        self.tried.succeeded(answer)
        return answer

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Refused, in the same words whether the name exists or not."""
        self.tried.failed()
        return self.render_to_response(self.get_context_data(form=form), status=422)


def sign_in_for_records(request: HttpRequest) -> HttpResponse:
    """The records' own sign-in page: there is one page to sign in on, and one count of wrong passwords."""
    if request.user.is_authenticated:  # and no administrator: those are not sent here
        raise Http404("There is no such page, or you may not see it.")
    target = request.GET.get(REDIRECT_FIELD_NAME, "")
    safe = url_has_allowed_host_and_scheme(target, {request.get_host()})
    return redirect_to_login(target if safe else reverse("admin:index"))


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """A new account for a visitor, if this installation allows it (`SPACEPORT_SIGNUP`)."""
    if not settings.SPACEPORT_SIGNUP:
        raise Http404("There is no such page, or you may not see it.")
    if request.user.is_authenticated:
        return redirect("dashboard")
    if request.method == "POST" and throttle.too_many_sign_ups(request):
        answer = render(request, "accounts/signup.html", {"form": SignUp(), "throttled": True}, status=429)
        answer["Retry-After"] = str(throttle.WINDOW_S)
        return answer
    form = SignUp(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = people.create_user(form.cleaned_data["username"], form.cleaned_data["password1"])
        login(request, user, "django.contrib.auth.backends.ModelBackend")
        return redirect("dashboard")
    return render(request, "accounts/signup.html", {"form": form}, status=422 if form.errors else 200)


class ChangePassword(PasswordChangeView):
    """One's own password; other browsers are signed out by it."""

    template_name = "accounts/password.html"
    success_url = "/tokens"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Change it, unless too many wrong ones were given for the old one before."""
        assert isinstance(request.user, User)
        if throttle.too_many_changes(request.user.pk):
            context = self.get_context_data(form=PasswordChangeForm(request.user), throttled=True)
            return self.render_to_response(context, status=429, headers=RETRY)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        """Changed."""
        throttle.changed(form.user.pk)
        messages.success(self.request, "Your password is changed. Other browsers are signed out.")
        return super().form_valid(form)

    def form_invalid(self, form: Any) -> HttpResponse:
        """Refused beside the field."""
        return self.render_to_response(self.get_context_data(form=form), status=422)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def tokens_page(request: HttpRequest) -> HttpResponse:
    """The user's tokens; POST makes one and shows its value, this once."""
    assert isinstance(request.user, User)
    mine = AccessToken.objects.filter(user=request.user).select_related("space__owner")
    mine = mine.order_by("-created_at")
    empty = partial(NewToken, user=request.user, initial={"scope": AccessToken.Scope.WRITE})
    form = empty(request.POST or None)
    plain = ""
    if request.method == "POST" and form.is_valid():
        if mine.count() >= MOST_TOKENS:
            form.add_error(None, f"You have {MOST_TOKENS} tokens. Revoke one you no longer use first.")
        else:
            given = form.cleaned_data
            life = timedelta(days=given["days"]) if given["days"] else None
            _, plain = tokens.issue(
                request.user, given["name"], given["scope"], life=life, space_id=given["space"]
            )
            form = empty()
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

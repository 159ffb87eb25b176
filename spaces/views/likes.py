"""The heart beside a Space's name."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.models import User
from spaces.community import likes
from spaces.views.common import readable


@login_required
@require_POST
def like(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Like the Space, or no longer."""
    space = readable(request, owner, name)
    assert isinstance(request.user, User)
    (likes.unlike if request.POST.get("liked") else likes.like)(space, request.user)
    return redirect(f"/{space}")

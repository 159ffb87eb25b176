"""My Spaces, and making a new one."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts import access
from accounts.models import Owner, User
from queueing.stats.figures import figures_of
from queueing.store import durability
from spaces import creation
from spaces.community import templates
from spaces.models import Sdk, Space, Visibility
from spaces.views.common import writable_owners
from spaces.views.forms import NewSpace


@login_required
@never_cache
@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """The Spaces of this user and their organizations; htmx requests the table alone."""
    assert isinstance(request.user, User)
    mine = Space.objects.filter(owner__memberships__user=request.user).select_related("owner", "replica")
    spaces = list(mine.order_by("owner__name", "name"))
    figures = figures_of(space.pk for space in spaces)
    rows = [(space, figures[space.pk]) for space in spaces]
    partial = request.headers.get("HX-Target") == "my-spaces"
    template = "components/my_spaces.html" if partial else "spaces/dashboard.html"
    warnings = durability.warnings() if request.user.is_superuser else []
    return render(request, template, {"rows": rows, "warnings": warnings})


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A form; once made, the Space's own page, which shows how to push to it."""
    assert isinstance(request.user, User)
    owners = writable_owners(request.user)
    initial = {"owner": request.user.username, "sdk": Sdk.GRADIO, "visibility": Visibility.PUBLIC}
    form = NewSpace(request.POST or None, initial=initial)
    context = {"owners": owners, "form": form, "templates": templates.every()}
    if request.method == "POST" and form.is_valid():
        space = _make(request.user, form)
        if space is not None:
            return redirect(f"/{space}")
    return render(request, "spaces/new.html", context, status=422 if form.errors else 200)


def _make(user: User, form: NewSpace) -> Space | None:
    """The Space, or None with the refusal in the form."""
    given = form.cleaned_data
    owner = Owner.objects.filter(name=given["owner"]).first()
    if owner is None or not access.can_write(user, owner.pk):
        form.add_error("owner", "You cannot make Spaces under this name.")
        return None
    options = {"author": user.username, "visibility": given["visibility"]}
    try:
        if (template := given["template"]) is not None:
            return creation.from_files(owner, given["name"], template.files(), **options)
        return creation.create(owner, given["name"], sdk=given["sdk"], **options)
    except creation.AlreadyExists as error:
        form.add_error("name", f"{error.space} exists already.")
        return None

"""Pages of collections: all that this visitor may see, and one with its Spaces."""

from __future__ import annotations

from django import forms
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import access
from accounts.models import Owner
from queueing.stats.figures import figures_of
from spaces.community import collections
from spaces.models import Collection, CollectionItem
from spaces.search import visible
from spaces.views.common import writable_owners

PAGE = 24


class NewCollection(forms.Form):
    """A collection to make."""

    owner = forms.CharField(max_length=96)
    title = forms.CharField(max_length=collections.TITLE, error_messages={"required": "Give it a title."})
    description = forms.CharField(max_length=collections.DESCRIPTION, required=False)
    private = forms.BooleanField(required=False)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def every(request: HttpRequest) -> HttpResponse:
    """The collections this visitor may see, the last changed first; POST makes one."""
    form = NewCollection(request.POST or None, initial={"owner": request.user.get_username()})
    if request.method == "POST" and form.is_valid() and (made := _make(request, form)) is not None:
        return redirect(f"/collections/{collections.slug(made)}")
    found = collections.seen(request.user).order_by("-updated_at", "pk")
    if owner := request.GET.get("owner", "").replace("\0", ""):
        found = found.filter(owner__name__iexact=owner)
    page = Paginator(collections.with_items(request.user, found), PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "rows": _linked(page), "form": form, "owners": writable_owners(request.user)}
    return render(request, "spaces/collections.html", context, status=422 if form.errors else 200)


def _linked(found: object) -> list[tuple[Collection, str]]:
    return [(one, collections.slug(one)) for one in found]  # type: ignore[attr-defined]


def _make(request: HttpRequest, form: NewCollection) -> Collection | None:
    """The collection, or None with the refusal in the form."""
    given = form.cleaned_data
    owner = Owner.objects.filter(name=given["owner"]).first()
    if owner is None or not access.can_write(request.user, owner.pk):
        form.add_error("owner", "You cannot make collections under this name.")
        return None
    try:
        return collections.create(
            owner, title=given["title"], description=given["description"], private=given["private"]
        )
    except collections.BadCollection as error:
        form.add_error("title", str(error))
        return None


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def one(request: HttpRequest, owner: str, slug: str) -> HttpResponse:
    """A collection; for those with write access, POST changes it."""
    found = collections.find(request.user, owner, slug)
    if found is None:
        raise Http404("There is no such collection, or you may not see it.")
    writes = access.can_write(request.user, found.owner_id)
    address = f"/collections/{collections.slug(found)}"
    error = ""
    if request.method == "POST":
        if not writes:
            raise Http404("There is no such page, or you may not see it.")
        if request.POST.get("delete"):
            found.delete()
            return redirect(f"/{found.owner.name}")
        error = _change(request, found)
        if not error:
            return redirect(address)
    elif request.path != address:
        return redirect(address)
    shown = collections.whole(request.user, found)
    items = list(shown.items.all())
    figures = figures_of(item.space.pk for item in items if item.space is not None)
    rows = [
        (item, figures[item.space.pk] if item.space else None, item.nested and collections.slug(item.nested))
        for item in items
    ]
    context = {"collection": shown, "rows": rows, "writes": writes, "error": error}
    return render(request, "spaces/collection.html", context, status=422 if error else 200)


def _change(request: HttpRequest, found: Collection) -> str:
    """Do what the form says; the refusal, or ""."""
    posted = {key: str(value).replace("\0", "") for key, value in request.POST.items()}
    if key := posted.get("remove") or posted.get("first"):
        item = CollectionItem.objects.select_related("collection").filter(collection=found, key=key).first()
        if item is not None and "remove" in posted:
            collections.remove(item)
        elif item is not None:
            collections.change_item(item, position=0)
        return ""
    owner, _, name = posted.get("space", "").strip().strip("/").partition("/")
    space = visible(request.user).filter(owner__name__iexact=owner, name__iexact=name).first()
    if space is None:
        return "There is no Space of this name. Write it as owner/name."
    try:
        collections.add(found, space, posted.get("note", "").strip()[: collections.NOTE])
    except collections.BadCollection as error:
        return str(error)
    return ""

"""Users, organizations and tokens in the records. Making a user here makes their namespace too."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from accounts import people
from accounts.models import AccessToken, Membership, Owner, User


class NewUser(AdminUserCreationForm):  # type: ignore[type-arg]
    """A new user's name is an owner's name: the same rules, told beside the field."""

    class Meta(AdminUserCreationForm.Meta):
        model = User

    def clean_username(self) -> str:
        """The name, if an owner may have it."""
        try:
            return people.check_name(self.cleaned_data["username"])
        except people.BadName as error:
            raise forms.ValidationError(str(error)) from error


@admin.register(User)
class Users(UserAdmin):  # type: ignore[type-arg]
    """Sign-in, rights, locking. A name stays: it is part of every address below it."""

    add_form = NewUser
    list_display = ("username", "email", "is_active", "is_superuser", "last_login", "date_joined")
    list_filter = ("is_active", "is_superuser")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """The name of a user that exists."""
        return ("username", "last_login", "date_joined") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never: whoever took the name next would be taken for them. Lock instead ("active" off)."""
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """A new user gets the owner of the same name."""
        super().save_model(request, obj, form, change)
        if not change:
            people.add_namespace(obj)


class Members(admin.TabularInline):  # type: ignore[type-arg]
    model = Membership
    extra = 0
    autocomplete_fields = ("user",)


class OwnerForm(forms.ModelForm):  # type: ignore[type-arg]
    """Renaming would break every address below the name, so it is given once."""

    def clean_name(self) -> str:
        """The name, if an owner may have it."""
        try:
            return people.check_name(self.cleaned_data["name"])
        except people.BadName as error:
            raise forms.ValidationError(str(error)) from error


@admin.register(Owner)
class Owners(admin.ModelAdmin):  # type: ignore[type-arg]
    """Organizations, and the namespaces of users."""

    form = OwnerForm
    list_display = ("name", "kind", "full_name", "created_at")
    list_filter = ("kind",)
    search_fields = ("name", "full_name")
    fields = ("name", "full_name")
    inlines = (Members,)

    def get_readonly_fields(self, request: HttpRequest, obj: Owner | None = None) -> Any:
        """The name of an owner that exists."""
        return ("name",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Owner | None = None) -> bool:
        """An organization without Spaces: those are deleted on their own pages."""
        deletable = obj is not None and obj.kind == Owner.Kind.ORGANIZATION and not obj.spaces.exists()
        return deletable and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Owner, form: Any, change: bool) -> None:
        """What is made here is an organization."""
        if not change:
            obj.kind = Owner.Kind.ORGANIZATION
        super().save_model(request, obj, form, change)


@admin.register(AccessToken)
class Tokens(admin.ModelAdmin):  # type: ignore[type-arg]
    """Tokens can be revoked here; their values are kept nowhere."""

    list_display = ("name", "user", "scope", "last_four", "created_at", "last_used_at")
    list_filter = ("scope",)
    search_fields = ("name", "user__username")
    list_select_related = ("user",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: a token's value is shown to its user alone, once."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never: it is made or revoked."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccessToken]:
        """Newest first."""
        return super().get_queryset(request).order_by("-created_at")

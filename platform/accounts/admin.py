"""The records of people and organizations. A user made here is an owner of Spaces as well."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest

from accounts import people
from accounts.models import AccessToken, Membership, Owner, User


class NewUserForm(AdminUserCreationForm):  # type: ignore[type-arg]
    """Refuses names that no owner can have."""

    class Meta(AdminUserCreationForm.Meta):
        model = User

    def clean_username(self) -> str:
        try:
            return people.check_name(str(self.cleaned_data["username"]))
        except people.BadName as error:
            raise ValidationError(str(error)) from error


@admin.register(User)
class PeopleAdmin(UserAdmin):  # type: ignore[type-arg]
    """Users. Their names stay: they are part of the addresses of their Spaces."""

    add_form = NewUserForm

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["username"] if obj is not None else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            owner = Owner.objects.create(name=obj.username, kind=Owner.Kind.USER)
            Membership.objects.create(owner=owner, user=obj, role=Membership.Role.ADMIN)


class OrganizationForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses names that no owner can have; users get their owner with themselves."""

    def clean_name(self) -> str:
        try:
            return people.check_name(str(self.cleaned_data["name"]))
        except people.BadName as error:
            raise ValidationError(str(error)) from error

    def save(self, commit: bool = True) -> Owner:
        if self.instance.pk is None:
            self.instance.kind = Owner.Kind.ORGANIZATION
        owner: Owner = super().save(commit)
        return owner


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]
    """The members of an owner and their roles."""

    model = Membership
    extra = 1


@admin.register(Owner)
class OwnerAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Namespaces and their members. Made with their user, or as an organization."""

    list_display = ("name", "kind", "full_name", "created_at")
    list_filter = ("kind",)
    search_fields = ("name",)
    form = OrganizationForm
    inlines = (MembershipInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Owner | None = None) -> tuple[str, ...]:
        return ("name", "kind") if obj is not None else ("kind",)

    def has_delete_permission(self, request: HttpRequest, obj: Owner | None = None) -> bool:
        return False


@admin.register(AccessToken)
class AccessTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Tokens, to revoke: delete one."""

    list_display = ("name", "user", "scope", "last_four", "created_at", "last_used_at")
    list_select_related = ("user",)
    readonly_fields = ("user", "name", "scope", "last_four", "created_at", "last_used_at")
    exclude = ("digest",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

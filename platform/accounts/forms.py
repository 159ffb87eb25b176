"""Forms about accounts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.apps import apps
from django.contrib.auth.forms import BaseUserCreationForm

from accounts import access, people
from accounts.models import AccessToken, User


class NewToken(forms.Form):
    """What a new token is called and may do."""

    name = forms.CharField(max_length=96, error_messages={"required": "Say what the token is for."})
    scope = forms.ChoiceField(choices=AccessToken.Scope.choices, initial=AccessToken.Scope.WRITE)
    days = forms.TypedChoiceField(
        choices=[("", "never"), *((str(days), f"{days} days") for days in (7, 30, 90, 365))],
        coerce=int,
        empty_value=None,
        required=False,
    )
    #: `owner/name` of the only Space that it is for.
    space = forms.CharField(max_length=200, required=False)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_space(self) -> int | None:
        """The Space's id, if this user may see it."""
        owner, _, name = self.cleaned_data["space"].strip().partition("/")
        if not owner:
            return None
        # By its name: accounts lie below Spaces.
        spaces = apps.get_model("spaces", "Space")._default_manager
        space = spaces.filter(owner__name__iexact=owner, name__iexact=name).first()
        if space is None or not access.can_read(self.user, space.owner_id, space.visibility):
            raise forms.ValidationError("There is no such Space: write its id, like alice/demo.")
        found: int = space.pk
        return found


class SignUp(BaseUserCreationForm):  # type: ignore[type-arg]
    """A new account: its name is an owner's name, by the same rules."""

    class Meta:
        model = User
        fields = ("username",)

    def clean_username(self) -> str:
        """The name, if an owner may have it."""
        try:
            return people.check_name(self.cleaned_data["username"])
        except people.BadName as error:
            raise forms.ValidationError(str(error)) from error

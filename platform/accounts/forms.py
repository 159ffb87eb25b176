"""Forms about accounts."""

from __future__ import annotations

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm

from accounts import people
from accounts.models import AccessToken, User


class NewToken(forms.Form):
    """What a new token is called and may do."""

    name = forms.CharField(max_length=96, error_messages={"required": "Say what the token is for."})
    scope = forms.ChoiceField(choices=AccessToken.Scope.choices, initial=AccessToken.Scope.WRITE)


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

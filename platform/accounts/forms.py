"""Forms about accounts."""

from __future__ import annotations

from django import forms

from accounts.models import AccessToken


class NewToken(forms.Form):
    """What a new token is called and may do."""

    name = forms.CharField(max_length=96, error_messages={"required": "Say what the token is for."})
    scope = forms.ChoiceField(choices=AccessToken.Scope.choices, initial=AccessToken.Scope.WRITE)

"""Users, the owners (people and organizations) of Spaces, and access tokens."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone


class User(AbstractUser):
    """A person with a sign-in. Every user has an `Owner` of the same name (see `accounts.people`)."""


class Owner(models.Model):
    """A namespace that Spaces belong to: the `alice` in `alice/demo`."""

    class Kind(models.TextChoices):
        USER = "user"
        ORGANIZATION = "org"

    name = models.CharField(max_length=96)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.USER)
    full_name = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    members: models.ManyToManyField[User, Membership] = models.ManyToManyField(
        User, through="Membership", related_name="owners"
    )

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(Lower("name"), name="owner_name_unique")]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """What one user may do in one namespace."""

    class Role(models.TextChoices):
        ADMIN = "admin"
        WRITE = "write"
        READ = "read"

    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.ADMIN)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["owner", "user"], name="membership_unique")]

    def __str__(self) -> str:
        return f"{self.user} in {self.owner}: {self.role}"


class AccessToken(models.Model):
    """An API token. Only its SHA-256 digest is kept: the value has enough entropy to need no more. One for a
    Space alone counts for nothing elsewhere."""

    class Scope(models.TextChoices):
        READ = "read"
        WRITE = "write"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=96)
    scope = models.CharField(max_length=8, choices=Scope.choices, default=Scope.WRITE)
    digest = models.CharField(max_length=64, unique=True)
    last_four = models.CharField(max_length=4)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    #: Null: it does not expire.
    expires_at = models.DateTimeField(null=True, blank=True)
    #: The only Space that it is for; null: all that the user may.
    space = models.ForeignKey(
        "spaces.Space", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    #: Of the refresh token that came with it (OAuth), until that is used.
    refresh_digest = models.CharField(max_length=64, null=True, unique=True)  # noqa: DJ001  # null is distinct

    def __str__(self) -> str:
        return f"{self.name} (…{self.last_four})"

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= timezone.now()


class DeviceLogin(models.Model):
    """A program's request to sign in, until its user agrees in a browser (RFC 8628)."""

    device_digest = models.CharField(max_length=64, unique=True)
    user_code = models.CharField(max_length=16, unique=True)
    #: The address of the program, for its user to recognize.
    address = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)
    polled_at = models.DateTimeField(null=True, blank=True)
    #: The user that agreed or refused; null: nobody yet.
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    #: The scope that was agreed to; empty with a user: refused.
    scope = models.CharField(max_length=8, choices=AccessToken.Scope.choices, blank=True)

    def __str__(self) -> str:
        return f"device login {self.user_code}"

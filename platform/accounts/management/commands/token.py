"""`manage.py token USER`: a new API token, alone on the last line."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import people, tokens
from accounts.models import AccessToken, User


class Command(BaseCommand):
    help = "Print a new API token for USER, alone on the last line. Creates the user if there is none."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("user", help="name of the user")
        parser.add_argument(
            "--name",
            default="command line",
            help="name of the token on the Tokens page (default: %(default)s)",
        )
        parser.add_argument("--read", action="store_true", help="make a token that may only read")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["user"]
        user = User.objects.filter(username=name).first()
        if user is None:
            try:
                user = people.create_user(name)
            except people.BadName as error:
                raise CommandError(str(error)) from error
            self.stderr.write(f"created the user {name}")
        scope = AccessToken.Scope.READ if options["read"] else AccessToken.Scope.WRITE
        _, plain = tokens.issue(user, options["name"], scope)
        self.stdout.write(plain)

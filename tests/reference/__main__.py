"""`python -m tests.reference` (`make docs`): write the generated tables into docs/reference/."""

import os
import sys

import django


def main() -> None:
    sys.path.insert(1, "platform")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spaceport.settings")
    django.setup()
    from tests.reference import pages

    for page in pages.TABLES:
        (pages.REFERENCE / page).write_text(pages.generated(page))


if __name__ == "__main__":
    main()

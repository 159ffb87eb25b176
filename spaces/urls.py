"""Routes of the pages. The words among them are no owner's name (`accounts.people.RESERVED`)."""

from django.urls import path, re_path

from spaces.community import organizations
from spaces.views import (
    addresses,
    console,
    dashboard,
    discover,
    editor,
    enter,
    files,
    likes,
    pages,
    settings,
    statistics,
    versions,
)
from spaces.webhooks import pages as webhooks

SPACE = "<str:owner>/<str:name>"

urlpatterns = [
    path("", discover.discover, name="discover"),
    path("dashboard", dashboard.dashboard, name="dashboard"),
    path("new", dashboard.new, name="new"),
    path("enter", enter.enter, name="enter"),
    path("console", console.console, name="console"),
    path("console/figures", console.figures, name="console-figures"),
    path("console/spaces/<int:space_id>/<str:action>", console.act, name="console-act"),
    path("settings/organizations", organizations.page, name="organizations"),
    path("settings/organizations/<str:name>", organizations.one, name="organization"),
    path("settings/webhooks", webhooks.page, name="webhooks"),
    path("settings/webhooks/again/<int:delivery>", webhooks.again),
    path("settings/webhooks/<int:number>/<str:action>", webhooks.act),
    path("favicon.ico", addresses.favicon),
    path("spaces", addresses.front_path),
    path("spaces/<str:owner>", addresses.owner_path),
    path(f"spaces/{SPACE}", addresses.hub_path),
    path(f"spaces/{SPACE}/<path:rest>", addresses.hub_path),
    path(f"buckets/{SPACE}", addresses.owner_path),
    path("<str:owner>", discover.owner, name="owner"),
    path(SPACE, pages.app, name="space"),
    path(f"{SPACE}/like", likes.like, name="like"),
    path(f"{SPACE}/panel", pages.panel, name="panel"),
    path(f"{SPACE}/stage", pages.stage, name="stage"),
    path(f"{SPACE}/files", files.folder, name="files"),
    path(f"{SPACE}/files/<path:path>", files.item, name="file"),
    path(f"{SPACE}/edit", editor.new, name="new-file"),
    path(f"{SPACE}/edit/<path:path>", editor.edit, name="edit"),
    path(f"{SPACE}/commits", files.history, name="commits"),
    path(f"{SPACE}/logs", files.log, name="logs"),
    path(f"{SPACE}/logs/download", files.log_download, name="log-download"),
    path(f"{SPACE}/versions", versions.page, name="versions"),
    path(f"{SPACE}/versions/roll-back", versions.roll_back, name="roll-back"),
    path(f"{SPACE}/versions/<int:build_id>", versions.version, name="version"),
    path(f"{SPACE}/versions/<int:build_id>/log", versions.log_file, name="version-log"),
    path(f"{SPACE}/versions/<int:build_id>/cancel", versions.cancel, name="cancel-build"),
    path(f"{SPACE}/statistics", statistics.page, name="statistics"),
    path(f"{SPACE}/statistics/figures", statistics.figures, name="statistics-figures"),
    path(f"{SPACE}/settings", settings.page, name="settings"),
    path(f"{SPACE}/settings/figures", settings.figures, name="settings-figures"),
    path(f"{SPACE}/settings/delete", settings.delete, name="settings-delete"),
    path(f"{SPACE}/settings/move", settings.move, name="settings-move"),
    path(f"{SPACE}/settings/action/<str:action>", settings.act, name="settings-act"),
    path(f"{SPACE}/settings/<str:section>", settings.change, name="settings-change"),
    re_path(r"^(?P<rest>.+?)/+$", addresses.without_slash),
]

"""Routes of the API: the Hub's paths first where they would look like an owner's name, then ours."""

from django.urls import path, re_path

from spaces.api import (
    files,
    git_http,
    hardware,
    history,
    listing,
    reading,
    repos,
    runtime,
    statistics,
    versions,
    what_if,
)
from spaces.api.deploy import DeployAPI, api
from spaces.api.missing import (
    discussions,
    no_access_requests,
    no_attachments,
    no_files_of_volumes,
    no_other_kind,
    no_quota,
    nothing,
    or_one_word,
)
from spaces.community import api as community
from spaces.community import collections_api as collections
from spaces.community import organizations
from spaces.community.agents import agents
from spaces.joining import api as joining
from spaces.lfs import batch
from spaces.lfs import listing as listing_of_large_files
from spaces.openapi.paths import paths
from spaces.scaling import api as scaling
from spaces.signin import api as signin
from spaces.signin import oauth
from spaces.tuning import api as tuning
from spaces.volumes import api as volumes
from spaces.webhooks import api as webhooks
from spaces.xet import api as xet

SPACE = "api/spaces/<str:owner>/<str:name>"
COLLECTION = "api/collections/<str:owner>/<str:slug>"

api.add_router("", statistics.router)
api.add_router("", versions.router)
api.add_router("", what_if.router)
api.add_router("", tuning.router)
api.add_router("", signin.router)
api.add_router("", organizations.router)
api.add_router("", hardware.router)
api.add_router("", joining.router)


urlpatterns = [
    path("api/whoami-v2", repos.whoami),
    path("api/repos/create", repos.create),
    path("api/repos/delete", repos.delete),
    path("api/repos/move", repos.move),
    path("api/settings/webhooks", webhooks.all_hooks),
    path("api/settings/webhooks/<str:number>", webhooks.one_hook),
    path("api/settings/webhooks/<str:number>/deliveries", webhooks.deliveries),
    path("api/settings/webhooks/<str:number>/<str:action>", webhooks.one_hook),
    path("api/agent-harnesses", listing.agent_harnesses),
    path("api/validate-yaml", files.validate_yaml),
    path("api/settings/repositories", listing.my_repositories),
    path("api/organizations/<str:owner>/settings/repositories", listing.my_repositories),
    path("api/users/<str:user>/overview", community.user_overview),
    path("api/users/<str:user>/likes", community.liked),
    path("api/users/<str:name>/followers", community.nobody, {"kind": "user"}),
    path("api/users/<str:name>/following", community.nobody, {"kind": "user"}),
    path("api/organizations/<str:name>/overview", community.organization_overview),
    path("api/organizations/<str:name>/members", community.members),
    path("api/organizations/<str:name>/followers", community.nobody, {"kind": "org"}),
    path("api/collections", collections.every),
    path(COLLECTION, collections.one),
    path(f"{COLLECTION}/items", collections.items),
    path(f"{COLLECTION}/items/<str:key>", collections.item),
    path(f"{COLLECTION}/resource-group", collections.resource_group),
    path("api/spaces", listing.listing),
    path("api/spaces/hardware", listing.hardware),
    path("api/spaces/semantic-search", community.search),
    path("api/spaces/templates", listing.templates),
    path("api/spaces/zero-gpu/quota", no_quota),
    path(SPACE, or_one_word(listing.info)),
    path(f"{SPACE}/revision/<path:revision>", listing.info),
    path(f"{SPACE}/auth-check", repos.auth_check),
    path(f"{SPACE}/auth-check/<str:write>", repos.auth_check),
    path(f"{SPACE}/settings", repos.change_settings),
    path(f"{SPACE}/preupload/<path:revision>", files.preupload),
    path(f"{SPACE}/commit/<path:revision>", files.commit),
    path(f"{SPACE}/tree/<path:rest>", reading.tree),
    path(f"{SPACE}/paths-info/<path:revision>", reading.paths_info),
    path(f"{SPACE}/commits/<path:revision>", reading.commits),
    path(f"{SPACE}/refs", reading.refs),
    path(f"{SPACE}/xet-write-token/<path:revision>", xet.write_token),
    path(f"{SPACE}/lfs-files", listing_of_large_files.lfs_files),
    path(f"{SPACE}/lfs-files/batch", listing_of_large_files.delete),
    path(f"{SPACE}/branch/<path:branch>", history.branch),
    path(f"{SPACE}/tag/<path:revision>", history.tag),
    path(f"{SPACE}/super-squash/<path:branch>", history.super_squash),
    path(f"{SPACE}/like", community.like),
    path(f"{SPACE}/likers", community.likers),
    path(f"{SPACE}/duplicate", repos.duplicate),
    path(f"{SPACE}/runtime", runtime.get_runtime),
    path(f"{SPACE}/hardware", runtime.set_hardware),
    path(f"{SPACE}/sleeptime", runtime.set_sleep_time),
    path(f"{SPACE}/replicas", scaling.replicas),
    path(f"{SPACE}/pause", runtime.pause),
    path(f"{SPACE}/restart", runtime.restart),
    path(f"{SPACE}/secrets", runtime.secrets),
    path(f"{SPACE}/variables", runtime.variables),
    path(f"{SPACE}/volumes", volumes.of_space),
    path("api/buckets/<str:owner>", volumes.listing),
    path("api/buckets/<str:owner>/<str:name>", volumes.one),
    # Below the Space's own address, which the client ends with a slash of its own.
    re_path(
        r"^run/(?P<owner>[^/]+)/(?P<name>[^/]+)//?--replicas/\+(?P<replica_id>\d{1,18})/get-reload$",
        runtime.get_reload,
    ),
    path(f"{SPACE}/logs/run", runtime.log_stream, {"kind": "run"}),
    path(f"{SPACE}/logs/build", runtime.log_stream, {"kind": "build"}),
    path(f"{SPACE}/discussions", discussions),
    path(f"{SPACE}/discussions/<path:rest>", discussions),
    path(f"{SPACE}/user-access-request/<path:rest>", no_access_requests),
    path("spaces/<str:owner>/<str:name>/agents.md", agents),
    path("spaces/<str:owner>/<str:name>/resolve/<path:rest>", reading.resolve),
    path("buckets/<str:owner>/<str:name>/resolve/<path:path>", no_files_of_volumes),
    path("uploads", no_attachments),
    re_path(r"^(?:datasets/)?[^/]+(?:/[^/]+)?/resolve/.+$", no_other_kind),
    re_path(
        r"^(?:spaces/)?(?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/(?P<service>info/refs|git-(?:upload|receive)-pack)$",
        git_http.serve,
    ),
    re_path(r"^(?:spaces/)?(?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/info/lfs/objects/batch$", batch.batch),
    re_path(r"^(?:spaces/)?[^/]+/[^/]+/info/lfs/.*$", batch.nothing),
    path("api/node/join", joining.join),
    path("api/node/check", joining.check),
    path("api/node/renew", joining.renew),
    path("api/node/spec", joining.spec),
    path("api/node/part", joining.part),
    path("oauth/device", oauth.device),
    path("oauth/token", oauth.token),
    path("oauth/activate", oauth.activate, name="activate"),
    path("api/", api.urls),
    re_path(r"^api/(?P<rest>.*)$", nothing),
]

DeployAPI.also = paths(urlpatterns)

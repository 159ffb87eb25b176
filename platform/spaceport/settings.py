"""Every setting, read once from the environment. Same code everywhere: only addresses differ.

The `#:` comment above a variable is its entry in `docs/reference/environment.md` (`make docs`).
`spaceport.up.embedded.attached` fills DATABASE_URL and REDIS_URL in when they are not given.
"""

import os
import secrets
import socket
from pathlib import Path

from environs import Env

from infra.environment import renamed

env = Env()

BASE_DIR = Path(__file__).resolve().parent.parent.parent

# --- where things are -------------------------------------------------------------------------------
#: Data folder: repositories, embedded servers, logs, the secret key. Default: `.spaceport/` in the checkout.
SPACEPORT_HOME = Path(env.str("SPACEPORT_HOME", str(BASE_DIR / ".spaceport"))).resolve()
#: Port of the web server.
PORT = env.int("PORT", 8000)
#: `manage.py up` serves https here, by Caddy with certificates of its own making (`localhost`, or
#: `localhost:8443`) or from Let's Encrypt (e.g. `spaces.example.org`; ports 80 and 443 are reached from the
#: outside). Sets `SPACEPORT_URL`, and the host and the proxy below.
SPACEPORT_TLS = env.str("SPACEPORT_TLS", "")
#: The platform's address as people type it, e.g. `https://spaces.example.org`.
#: Default: `http://localhost:<PORT>`.
SPACEPORT_URL = env.str(
    "SPACEPORT_URL", f"https://{SPACEPORT_TLS}" if SPACEPORT_TLS else f"http://localhost:{PORT}"
).rstrip("/")
#: Each demo gets its own host below this domain. In production use a domain of its own, with a wildcard DNS
#: entry: demos run strangers' code.
SPACEPORT_DEMO_DOMAIN = env.str("SPACEPORT_DEMO_DOMAIN", "localhost")
#: How many trailing `X-Forwarded-For` entries to trust: one for each reverse proxy of your own.
SPACEPORT_TRUSTED_PROXY_COUNT = int(renamed("SPACEPORT_TRUSTED_PROXY_COUNT", "SPACEPORT_PROXIES") or 0)
if SPACEPORT_TLS:
    SPACEPORT_TRUSTED_PROXY_COUNT += 1
#: The web server: `daphne` or `uvicorn`, which uses less CPU per event.
SPACEPORT_WEB_SERVER = env.str("SPACEPORT_WEB_SERVER", "daphne")
#: Web processes that `manage.py up` runs on this machine; 0: one for two cores, at least 1, at most 8. They
#: share one port.
SPACEPORT_WEB_PROCESSES = env.int("SPACEPORT_WEB_PROCESSES", 0)
#: This machine's name as a node. Default: its host name.
SPACEPORT_NODE = env.str("SPACEPORT_NODE", socket.gethostname())
#: Cores that this node lends to Spaces; 0: all that it has, or that its control group allows. Set this and
#: the next two where the machine has other work to do.
SPACEPORT_NODE_CORES = env.float("SPACEPORT_NODE_CORES", 0)
#: Memory that it lends to Spaces; 0: all.
SPACEPORT_NODE_MEMORY_GB = env.float("SPACEPORT_NODE_MEMORY_GB", 0)
#: Disk that it lends to Spaces; 0: all. It is shown in the console; Spaces have their own limits.
SPACEPORT_NODE_DISK_GB = env.float("SPACEPORT_NODE_DISK_GB", 0)
#: How many times over this node promises its cores to Spaces of the `cpu` tier, most of which are idle. 1:
#: not at all. Cores of GPU tiers are never promised twice.
SPACEPORT_OVERCOMMIT_CORES = env.float("SPACEPORT_OVERCOMMIT_CORES", 64)
#: The same for its memory.
SPACEPORT_OVERCOMMIT_MEMORY = env.float("SPACEPORT_OVERCOMMIT_MEMORY", 16)
#: The currency of the hardware tiers' prices, as it is written: `EUR`.
SPACEPORT_CURRENCY = env.str("SPACEPORT_CURRENCY", "USD")
#: Where Spaces run: `docker`, `process`, or `auto`, which means Docker where an engine answers.
SPACEPORT_RUNTIME = env.str("SPACEPORT_RUNTIME", "auto")
#: Name, without a tag, of the image that Spaces run in.
SPACEPORT_BASE_IMAGE = env.str("SPACEPORT_BASE_IMAGE", "spaceport/base")

#: A registry for the images of Spaces, like `registry.example.org/spaces`: what is built is pushed there, and
#: nodes with an engine of their own pull it. Engines sign in with what `docker login` has kept. Empty: images
#: stay on the machine that built them.
SPACEPORT_REGISTRY = env.str("SPACEPORT_REGISTRY", "").rstrip("/")

#: Bearer token that opens `/metrics` and the reasons in `/healthz`. Without
#: it only administrators may read them.
SPACEPORT_METRICS_TOKEN = env.str("SPACEPORT_METRICS_TOKEN", "")

#: Whether visitors may create an account. Otherwise the administrator creates accounts.
SPACEPORT_SIGNUP = env.bool("SPACEPORT_SIGNUP", False)

# --- limits -----------------------------------------------------------------------------------------
MEGABYTE = 1024 * 1024
#: The largest file of a Space.
SPACEPORT_UPLOAD_LIMIT_BYTES = env.int("SPACEPORT_UPLOAD_LIMIT_BYTES", 100 * 1000 * 1000)
#: All files of one push or commit together.
SPACEPORT_PUSH_LIMIT_BYTES = env.int("SPACEPORT_PUSH_LIMIT_BYTES", 2 * 1000**3)
#: A Space's repository with its history.
SPACEPORT_REPOSITORY_LIMIT_BYTES = env.int("SPACEPORT_REPOSITORY_LIMIT_BYTES", 10 * 1000**3)
#: The largest file by Git LFS, as which files above `SPACEPORT_UPLOAD_LIMIT_BYTES` are uploaded.
SPACEPORT_LFS_FILE_LIMIT_BYTES = env.int("SPACEPORT_LFS_FILE_LIMIT_BYTES", 50 * 1000**3)
#: All files that a Space has by Git LFS, its history included.
SPACEPORT_LFS_SPACE_LIMIT_BYTES = env.int("SPACEPORT_LFS_SPACE_LIMIT_BYTES", 100 * 1000**3)
#: Files by Git LFS that are on their way, of all Spaces together.
SPACEPORT_LFS_SPOOL_LIMIT_BYTES = env.int("SPACEPORT_LFS_SPOOL_LIMIT_BYTES", 200 * 1000**3)
#: Disk that stays free in the data folder: files by Git LFS that would take it are refused.
SPACEPORT_LFS_FREE_BYTES = env.int("SPACEPORT_LFS_FREE_BYTES", 5 * 1000**3)
#: One request of a visitor to an app.
SPACEPORT_VISITOR_UPLOAD_LIMIT_BYTES = env.int("SPACEPORT_VISITOR_UPLOAD_LIMIT_BYTES", 500 * 1000**2)
#: One event: the JSON of a call. Files are uploaded first and referred to.
SPACEPORT_EVENT_BODY_LIMIT_BYTES = env.int("SPACEPORT_EVENT_BODY_LIMIT_BYTES", 32 * MEGABYTE)
#: Concurrent builds of one build worker.
SPACEPORT_BUILDS_AT_ONCE = env.int("SPACEPORT_BUILDS_AT_ONCE", 2)
#: Time limit of one build.
SPACEPORT_BUILD_TIMEOUT_S = env.int("SPACEPORT_BUILD_TIMEOUT_S", 1800)
#: How long the version before is kept running after a new one took over, for an immediate roll back (only on
#: hardware without a GPU).
SPACEPORT_KEEP_WARM_S = env.int("SPACEPORT_KEEP_WARM_S", 600)
#: The most replicas that the owner of a Space may have it run on.
SPACEPORT_REPLICAS_PER_SPACE = env.int("SPACEPORT_REPLICAS_PER_SPACE", 10)
#: With a range of replicas, how long one that is not needed stays, where the owner chose no other time.
SPACEPORT_REPLICA_QUIET_S = env.float("SPACEPORT_REPLICA_QUIET_S", 20)
#: How long `git push` shows what becomes of it; 0: not at all.
SPACEPORT_PUSH_FOLLOW_S = env.int("SPACEPORT_PUSH_FOLLOW_S", 600)
#: Memory of one build.
SPACEPORT_BUILD_MEMORY_GB = env.float("SPACEPORT_BUILD_MEMORY_GB", 8)
#: Disk of one build, including its layer cache.
SPACEPORT_BUILD_DISK_GB = env.float("SPACEPORT_BUILD_DISK_GB", 32)
#: Cores of one build; 0 means three quarters of the machine's.
SPACEPORT_BUILD_CPUS = env.float("SPACEPORT_BUILD_CPUS", 0)
#: Processes of one build.
SPACEPORT_BUILD_PROCESSES = env.int("SPACEPORT_BUILD_PROCESSES", 2048)
#: Images on the node, comma-separated, that Dockerfiles may start from besides the platform's base images.
SPACEPORT_BUILD_IMAGES: list[str] = env.list("SPACEPORT_BUILD_IMAGES", [])
#: Whether Dockerfiles may also start from images of public registries.
SPACEPORT_BUILD_PULLS = env.bool("SPACEPORT_BUILD_PULLS", True)
#: Private addresses that builds may reach besides the package index, e.g.
#: `mirror.example.org:443,10.1.2.0/24`.
SPACEPORT_BUILD_REACHES: list[str] = env.list("SPACEPORT_BUILD_REACHES", [])
#: Hosts, with those below them, of the package indexes, archives and repositories that a Gradio Space's
#: requirements may name, e.g. `download.pytorch.org,github.com`; empty: any. The machine's own package index
#: is always one of them.
SPACEPORT_PACKAGE_HOSTS: list[str] = env.list("SPACEPORT_PACKAGE_HOSTS", [])
#: Where Spaces may connect to: `web` (public addresses, on ports 80, 443 and 8080), `none`, or a list of
#: public hosts, addresses and networks like `api.example.org:443,203.0.113.0/24`. A Space's record in the
#: console may override it. Needs the Docker runtime.
SPACEPORT_EGRESS = env.str("SPACEPORT_EGRESS", "web")
#: Private addresses that every Space with a way out may reach too, e.g. `models.example.org:443,10.1.2.0/24`.
SPACEPORT_EGRESS_REACHES: list[str] = env.list("SPACEPORT_EGRESS_REACHES", [])
#: Private addresses that the platform itself may connect to where people name them, in webhooks and trusted
#: publishers, e.g. `ci.example.org:443,10.1.2.0/24`.
SPACEPORT_OUTBOUND_REACHES: list[str] = env.list("SPACEPORT_OUTBOUND_REACHES", [])
#: TCP connections to the outside that one container may have open at a time; 0 disables the limit.
SPACEPORT_EGRESS_CONNECTIONS = env.int("SPACEPORT_EGRESS_CONNECTIONS", 1000)
#: Megabits per second that one container may send to the outside, and get from there; 0 disables the limit.
SPACEPORT_EGRESS_MBITS = env.int("SPACEPORT_EGRESS_MBITS", 1000)
#: Address of a hub of models that Spaces and builds use in place of Hugging Face's (their `HF_ENDPOINT`).
SPACEPORT_HF_ENDPOINT = env.str("SPACEPORT_HF_ENDPOINT", "").rstrip("/")
#: Disk that a Space's container may fill with what is gone when it restarts.
SPACEPORT_DISK_GB = env.float("SPACEPORT_DISK_GB", 20)
#: Disk that a Space may fill in `/data`, which is kept.
SPACEPORT_DATA_GB = env.float("SPACEPORT_DATA_GB", 20)
#: Disk that a named volume may take.
SPACEPORT_VOLUME_GB = env.float("SPACEPORT_VOLUME_GB", 20)
#: Named volumes that one owner may have.
SPACEPORT_VOLUMES_PER_OWNER = env.int("SPACEPORT_VOLUMES_PER_OWNER", 10)
#: Disk for the kept caches (`~/.cache`, `HF_HOME`) of a Gradio Space; the least recently used go first.
SPACEPORT_CACHE_GB = env.float("SPACEPORT_CACHE_GB", 20)
#: Time limit for a replica to start, unless its `README.md` has a `startup_duration_timeout`.
SPACEPORT_START_TIMEOUT_S = env.int("SPACEPORT_START_TIMEOUT_S", 1800)
#: How many containers of a node may wait that have imported Gradio, for the next code of the Spaces that were
#: started last; without a container engine, how many processes, one for each set of dependencies. Apps start
#: in a fraction of the time. 0: none (see decision 13).
SPACEPORT_STANDBY = env.int("SPACEPORT_STANDBY", 5)
#: Demo page loads of one visitor (account, or network prefix), as a burst and per minute; 0 disables the
#: limit. Raise it for a class behind one address.
SPACEPORT_PAGE_LOADS_PER_MINUTE = env.int("SPACEPORT_PAGE_LOADS_PER_MINUTE", 300)
#: Websocket handshakes per second in one web process; 0 disables the limit. Clients
#: above it get a time to retry.
SPACEPORT_HANDSHAKES_PER_SECOND = env.int("SPACEPORT_HANDSHAKES_PER_SECOND", 200)
#: Open websockets of one address in one web process; 0 disables the limit.
SPACEPORT_SOCKETS_PER_VISITOR = env.int("SPACEPORT_SOCKETS_PER_VISITOR", 2000)
#: Time limit of one call.
SPACEPORT_EVENT_TIMEOUT_S = env.int("SPACEPORT_EVENT_TIMEOUT_S", 3600)
#: The largest message, and so the largest JSON result, that an app may send for a call. Files
#: are not messages.
SPACEPORT_MESSAGE_LIMIT_BYTES = env.int("SPACEPORT_MESSAGE_LIMIT_BYTES", 32 * MEGABYTE)
#: Messages of one call kept at a time.
SPACEPORT_EVENT_LIMIT_BYTES = env.int("SPACEPORT_EVENT_LIMIT_BYTES", 256 * MEGABYTE)

# --- queue ------------------------------------------------------------------------------------------
#: Redis replicas that must have an event before it is acknowledged.
SPACEPORT_REDIS_REPLICAS = int(os.environ.get("SPACEPORT_REDIS_REPLICAS") or 0)
#: Seconds a waiting visitor may be disconnected and keep the place.
SPACEPORT_DISCONNECT_GRACE_S = float(renamed("SPACEPORT_DISCONNECT_GRACE_S", "SPACEPORT_AWAY_S") or 60)
#: Inputs, messages and answers that all calls of one Space keep in Redis before further ones are refused.
SPACEPORT_SPACE_LIMIT_BYTES = int(os.environ.get("SPACEPORT_SPACE_LIMIT_BYTES") or 1024**3)


def _persistent_secret(path: Path) -> str:
    """The secret kept in `path`, made on first use; only its owner can read the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50))
    return path.read_text()


# --- Django -----------------------------------------------------------------------------------------
#: Signs sessions and encrypts Space secrets; losing it loses the secrets. Default: generated once and kept in
#: `SPACEPORT_HOME/secret_key`.
SECRET_KEY = env.str("SPACEPORT_SECRET_KEY", "") or _persistent_secret(SPACEPORT_HOME / "secret_key")
SALT_KEY = ["spaceport.fields"]
#: Django's debug mode. Never in production.
DEBUG = env.bool("SPACEPORT_DEBUG", False)
#: Host names of the platform, comma-separated. Requests and websockets for other hosts are refused.
ALLOWED_HOSTS = env.list("SPACEPORT_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
if SPACEPORT_TLS:
    ALLOWED_HOSTS.append(SPACEPORT_TLS.partition(":")[0])
CSRF_TRUSTED_ORIGINS = [SPACEPORT_URL]
ROOT_URLCONF = "spaceport.urls"
ASGI_APPLICATION = "spaceport.asgi.application"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/dashboard"
LOGOUT_REDIRECT_URL = "/"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"

INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",  # `spaceport.urls` finds its models
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "channels",
    "ninja",
    "spaceport",
    "accounts",
    "hardware",
    "queueing",
    "spaces",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "spaceport.web.assets.Middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "spaceport.security.SameOriginForms",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "spaceport.security.ContentSecurityPolicy",
    "spaces.views.common.FollowMoves",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

STATIC_URL = "/static/"
STATIC_ROOT = SPACEPORT_HOME / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "spaceport.web.assets.Storage"},
}
# Also files of earlier versions, for pages that are open; and plain names, straight from the packages.
SERVESTATIC_USE_STATIC_ROOT = True
SERVESTATIC_USE_MANIFEST = False
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_KEEP_ONLY_HASHED_FILES = True
SERVESTATIC_AUTOREFRESH = DEBUG

SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = SPACEPORT_URL.startswith("https://")
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

# Uploads are streamed by the views that take them; this bounds everything else.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * MEGABYTE
DATA_UPLOAD_MAX_NUMBER_FILES = 1000  # `static/spaceport/upload.js` sends no more

# --- servers ----------------------------------------------------------------------------------------
#: PostgreSQL. When unset, `manage.py` starts an embedded server.
DATABASES = {"default": env.dj_db_url("DATABASE_URL", "postgresql:///spaceport", conn_health_checks=True)}
DATABASES["default"]["ENGINE"] = "infra.postgresql"
DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True  # a pool of transactions would lose them
# A connection whose other end has gone is ended by the system, not only after minutes. The URL's own
# parameters take precedence. https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
DATABASES["default"]["OPTIONS"] = {
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
} | DATABASES["default"].get("OPTIONS", {})
#: Redis or Valkey. When unset, `manage.py` starts an embedded server.
REDIS_URL = env.str("REDIS_URL", "redis://127.0.0.1:6379/0")
CELERY_BROKER_URL = REDIS_URL
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    }
}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

#: PostgreSQL as nodes that join reach it (`manage.py node join`). Default: `DATABASE_URL`.
SPACEPORT_NODES_DATABASE_URL = env.str("SPACEPORT_NODES_DATABASE_URL", os.environ.get("DATABASE_URL", ""))
#: The same for Redis. Default: `REDIS_URL`.
SPACEPORT_NODES_REDIS_URL = env.str("SPACEPORT_NODES_REDIS_URL", REDIS_URL)

# --- logs -------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {"tokens": {"()": "spaceport.redaction.Redaction"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["tokens"]},
    },
    #: Level of the log: `DEBUG`, `INFO`, `WARNING`, `ERROR`.
    "root": {"handlers": ["stderr"], "level": env.str("SPACEPORT_LOG_LEVEL", "WARNING")},
}

"""Every setting, read once from the environment. Same code everywhere: only addresses differ.

`spaceport.up.embedded.attached` fills DATABASE_URL and REDIS_URL in when they are not given.
"""

import secrets
import socket
from pathlib import Path

from environs import Env

from infra.environment import renamed

env = Env()

BASE_DIR = Path(__file__).resolve().parent.parent.parent

# --- where things are -------------------------------------------------------------------------------
SPACEPORT_HOME = Path(env.str("SPACEPORT_HOME", str(BASE_DIR / ".spaceport"))).resolve()
PORT = env.int("PORT", 8000)
# The platform's own address as people type it; demos live on hosts below the demo domain.
SPACEPORT_URL = env.str("SPACEPORT_URL", f"http://localhost:{PORT}").rstrip("/")
SPACEPORT_DEMO_DOMAIN = env.str("SPACEPORT_DEMO_DOMAIN", "localhost")
#: How many trailing entries of X-Forwarded-For to trust: one for each reverse proxy before the web process.
SPACEPORT_TRUSTED_PROXY_COUNT = int(renamed("SPACEPORT_TRUSTED_PROXY_COUNT", "SPACEPORT_PROXIES") or 0)
#: What serves the web: "daphne" or "uvicorn".
SPACEPORT_WEB_SERVER = env.str("SPACEPORT_WEB_SERVER", "daphne")
SPACEPORT_NODE = env.str("SPACEPORT_NODE", socket.gethostname())
SPACEPORT_RUNTIME = env.str("SPACEPORT_RUNTIME", "auto")
SPACEPORT_BASE_IMAGE = env.str("SPACEPORT_BASE_IMAGE", "spaceport/base")

# Who asks for /metrics and is no administrator must send it: `Authorization: Bearer …`.
SPACEPORT_METRICS_TOKEN = env.str("SPACEPORT_METRICS_TOKEN", "")

# Whether strangers may make themselves an account; else whoever runs this Spaceport makes them.
SPACEPORT_SIGNUP = env.bool("SPACEPORT_SIGNUP", False)

# --- limits -----------------------------------------------------------------------------------------
MEGABYTE = 1024 * 1024
SPACEPORT_UPLOAD_LIMIT_BYTES = env.int("SPACEPORT_UPLOAD_LIMIT_BYTES", 100 * 1000 * 1000)
#: All files of one push or commit; all that is kept of a repository; what a visitor may send in one request.
SPACEPORT_PUSH_LIMIT_BYTES = env.int("SPACEPORT_PUSH_LIMIT_BYTES", 2 * 1000**3)
SPACEPORT_REPOSITORY_LIMIT_BYTES = env.int("SPACEPORT_REPOSITORY_LIMIT_BYTES", 10 * 1000**3)
SPACEPORT_VISITOR_UPLOAD_LIMIT_BYTES = env.int("SPACEPORT_VISITOR_UPLOAD_LIMIT_BYTES", 500 * 1000**2)
SPACEPORT_BUILDS_AT_ONCE = env.int("SPACEPORT_BUILDS_AT_ONCE", 2)
SPACEPORT_BUILD_TIMEOUT_S = env.int("SPACEPORT_BUILD_TIMEOUT_S", 1800)
#: What one build may take: memory, disk (its layer cache included), cores (0: three quarters of them).
SPACEPORT_BUILD_MEMORY_GB = env.float("SPACEPORT_BUILD_MEMORY_GB", 8)
SPACEPORT_BUILD_DISK_GB = env.float("SPACEPORT_BUILD_DISK_GB", 32)
SPACEPORT_BUILD_CPUS = env.float("SPACEPORT_BUILD_CPUS", 0)
SPACEPORT_BUILD_PROCESSES = env.int("SPACEPORT_BUILD_PROCESSES", 2048)
#: The node's images, by name, that Dockerfiles may start from besides the platform's base images.
SPACEPORT_BUILD_IMAGES: list[str] = env.list("SPACEPORT_BUILD_IMAGES", [])
#: Whether Dockerfiles may start from images of public registries too.
SPACEPORT_BUILD_PULLS = env.bool("SPACEPORT_BUILD_PULLS", True)
#: Private addresses that builds may reach, e.g. "mirror.example.org:443,10.1.2.0/24"; the package index is.
SPACEPORT_BUILD_REACHES: list[str] = env.list("SPACEPORT_BUILD_REACHES", [])
SPACEPORT_START_TIMEOUT_S = env.int("SPACEPORT_START_TIMEOUT_S", 600)
#: Openings of demo pages by one visitor (account, else address prefix), at once and a minute; 0: no limit.
SPACEPORT_PAGE_LOADS_PER_MINUTE = env.int("SPACEPORT_PAGE_LOADS_PER_MINUTE", 300)
#: Websocket handshakes a second in one web process; others are told when to come back. 0: no limit.
SPACEPORT_HANDSHAKES_PER_SECOND = env.int("SPACEPORT_HANDSHAKES_PER_SECOND", 200)
#: Websockets of one visitor's address in one web process at once; 0: no limit.
SPACEPORT_SOCKETS_PER_VISITOR = env.int("SPACEPORT_SOCKETS_PER_VISITOR", 2000)
SPACEPORT_EVENT_TIMEOUT_S = env.int("SPACEPORT_EVENT_TIMEOUT_S", 3600)
# What an app may send for one event: its largest message, and what is kept of all of them at a time.
SPACEPORT_MESSAGE_LIMIT_BYTES = env.int("SPACEPORT_MESSAGE_LIMIT_BYTES", 32 * MEGABYTE)
SPACEPORT_EVENT_LIMIT_BYTES = env.int("SPACEPORT_EVENT_LIMIT_BYTES", 256 * MEGABYTE)


def _persistent_secret(path: Path) -> str:
    """The secret kept in `path`, made on first use; only its owner can read the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50))
    return path.read_text()


# --- Django -----------------------------------------------------------------------------------------
SECRET_KEY = env.str("SPACEPORT_SECRET_KEY", "") or _persistent_secret(SPACEPORT_HOME / "secret_key")
SALT_KEY = ["spaceport.fields"]
DEBUG = env.bool("SPACEPORT_DEBUG", False)
ALLOWED_HOSTS = env.list("SPACEPORT_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
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
    "django.contrib.admin",
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
    "servestatic.middleware.ServeStaticMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "spaceport.security.SameOriginForms",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "spaceport.security.ContentSecurityPolicy",
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
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_AUTOREFRESH = DEBUG

SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = SPACEPORT_URL.startswith("https://")
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

# Uploads are streamed by the views that take them; this bounds everything else.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * MEGABYTE

# --- servers ----------------------------------------------------------------------------------------
DATABASES = {"default": env.dj_db_url("DATABASE_URL", "postgresql:///spaceport", conn_health_checks=True)}
REDIS_URL = env.str("REDIS_URL", "redis://127.0.0.1:6379/0")
CELERY_BROKER_URL = REDIS_URL
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    }
}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

# --- logs -------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {"tokens": {"()": "spaceport.redaction.Redaction"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["tokens"]},
    },
    "root": {"handlers": ["stderr"], "level": env.str("SPACEPORT_LOG_LEVEL", "WARNING")},
}

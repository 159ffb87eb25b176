"""The platform host's URLs. Demo hosts never come here: `spaceport.asgi` sends them to the gateway."""

from django.contrib import admin
from django.urls import include, path

from spaceport.health import healthz
from spaceport.metrics import metrics

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("metrics", metrics, name="metrics"),
    path("console/records/", admin.site.urls),
    path("", include("spaces.api.urls")),
    path("", include("accounts.urls")),
    path("", include("spaces.urls")),
]

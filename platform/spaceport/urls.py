"""The platform host's URLs. Demo hosts never come here: `spaceport.asgi` sends them to the gateway."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.views import sign_in_for_records
from spaceport import certificates
from spaceport.health import healthz
from spaceport.metrics import metrics

admin.autodiscover()

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("metrics", metrics, name="metrics"),
    path(certificates.PATH, certificates.ask),
    # Before the records' own, which count no wrong passwords.
    path("console/records/login/", sign_in_for_records),
    path("console/records/password_change/", RedirectView.as_view(pattern_name="password")),
    path("console/records/", admin.site.urls),
    path("", include("spaces.api.urls")),
    path("", include("accounts.urls")),
    path("", include("spaces.urls")),
]

handler500 = "spaceport.web.away.server_error"

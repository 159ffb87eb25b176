"""The platform host's URLs. Demo hosts never come here: `spaceport.asgi` sends them to the gateway."""

from django.contrib import admin
from django.urls import path

urlpatterns = [
    path("admin/", admin.site.urls),
]

"""Routes of signing in and out, and of tokens."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from accounts import views

urlpatterns = [
    path("login", views.SignIn.as_view(), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("signup", views.sign_up, name="signup"),
    path("password", views.ChangePassword.as_view(), name="password"),
    path("tokens", views.tokens_page, name="tokens"),
    path("tokens/<int:token_id>/revoke", views.revoke, name="revoke-token"),
]

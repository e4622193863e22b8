"""Signing in and out, below ``/api/auth/``."""

from django.urls import path

from chat import views_auth

app_name = "auth"
urlpatterns = [
    path("token/", views_auth.TokenView.as_view(), name="token"),
    path("logout/", views_auth.LogoutView.as_view(), name="logout"),
    path("logoutall/", views_auth.LogoutAllView.as_view(), name="logout-all"),
]

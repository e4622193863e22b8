"""How the installation is: a page for people, an answer for load balancers."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chat.errors import VideoError
from chat.services import sandbox_state
from chat.services.media_self_test import last_self_test, try_this_machine
from moderation import health as state
from moderation.views.pages import dashboard_page, job_action


@dashboard_page
@never_cache
def health(request: HttpRequest) -> HttpResponse:
    try:
        layers = sandbox_state.layer_states()
    except VideoError:  # the media findings tell why
        layers = []
    findings = {"services": state.services(), "media": state.media()}
    tried = last_self_test()
    troubles = [f for group in findings.values() for f in group if f.state != "ok"]
    context = {
        **findings,
        "layers": layers,
        "lacking": [layer for layer in layers if layer.is_lacking],
        "troubles": troubles,
        "self_test": tried,
        "limits": state.limits(),
        "may_run_jobs": request.user.has_perm("moderation.run_jobs"),
    }
    return render(request, "moderation/health.html", context)


@job_action
def health_self_test(request: HttpRequest) -> HttpResponse:
    found = try_this_machine()
    if found.trouble:
        messages.error(request, f"The sandbox could not be tried: {found.trouble}")
    elif found.passed:
        messages.success(request, f"Nothing got through: {len(found.attempts)} attempts denied.")
    else:
        words = ", ".join(attempt.words for attempt in found.got_through)
        messages.error(request, f"The stand-in could {words}.")
    return redirect("moderation:health")


@require_safe
@never_cache
def alive(_request: HttpRequest) -> HttpResponse:
    """For load balancers: 200 or 503, no details, no sign-in."""
    if state.is_serving():
        return JsonResponse({"status": "ok"})
    return JsonResponse({"status": "unavailable"}, status=503)

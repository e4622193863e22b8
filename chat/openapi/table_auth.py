"""Signing in and out."""

from chat.openapi.bodies import TokenSerializer
from chat.openapi.examples import TOKEN
from chat.openapi.operation import Operation, Table, answer, empty, sent
from chat.serializers_chat import SignInSerializer

AUTH: Table = {
    "POST /api/auth/token/": Operation(
        name="create_token",
        summary="Sign in",
        description="Exchanges name and password for a token, to be sent as "
        "`Authorization: Token …` with every request until it expires.",
        request=SignInSerializer,
        answers={200: answer(TokenSerializer, "Signed in.", TOKEN)},
        errors=("authentication_failed", "second_factor_required", "locked_out"),
        examples=(sent("anna", {"username": "anna", "password": "correct horse"}),),
    ),
    "POST /api/auth/logout/": Operation(
        name="delete_token",
        summary="Sign out",
        description="Ends the token that it is sent with.",
        answers={204: empty("Signed out.")},
    ),
    "POST /api/auth/logoutall/": Operation(
        name="delete_tokens",
        summary="Sign out everywhere",
        description="Ends all tokens of the account, on whatever device they are.",
        answers={204: empty("Signed out.")},
    ),
}

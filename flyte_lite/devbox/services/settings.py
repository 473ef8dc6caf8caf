"""SettingsService: settings are kept, and change nothing in a devbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flyte_lite.devbox._refusal import refusal
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.state.settings import DEFAULT_ORG, SettingsKey
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.settings import settings_definition_pb2 as definition
from flyte_lite.idl.flyteidl2.settings import settings_service_pb2 as pb

if TYPE_CHECKING:
    from flyte_lite.devbox.state import State


class SettingsService:
    """`flyteidl2.settings.SettingsService`."""

    name = "flyteidl2.settings.SettingsService"

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> dict[str, Any]:
        """The RPCs by name."""
        return {
            "GetSettings": self.get_settings,
            "GetSettingsForEdit": self.get_settings_for_edit,
            "CreateSettings": self.create_settings,
            "UpdateSettings": self.update_settings,
        }

    def get_settings(self, _: pb.GetSettingsRequest, __: Call) -> pb.GetSettingsResponse:
        """Refuse, as the real server does."""
        raise refusal(Code.UNIMPLEMENTED, "settings resolution engine not implemented yet")

    def get_settings_for_edit(self, request: pb.GetSettingsForEditRequest, _: Call) -> pb.GetSettingsForEditResponse:
        """The records from the organization's down to the one asked for; empty ones where nothing is stored.

        Raises:
            InvalidArgumentError: There is no key, or it has a project and no domain.
        """
        key = _checked(request)
        response = pb.GetSettingsForEditResponse(requestedKey=request.key)
        for level in _levels(key):
            found = self._state.settings.get(level)
            record = response.levels.add(key=definition.SettingsKey(**level._asdict()))
            record.settings.SetInParent()
            if found is not None:
                record.settings.MergeFromString(found[0])
                record.version = found[1]
        return response

    def create_settings(self, request: pb.CreateSettingsRequest, _: Call) -> pb.CreateSettingsResponse:
        """Store a first version.

        Raises:
            InvalidArgumentError: There are no settings or no key, or the key has a project and no domain.
            AlreadyExistsError: There is a record.
        """
        key, body = _checked(request), _body(request)
        if not self._state.settings.create(key, body):
            raise refusal(Code.ALREADY_EXISTS, f"settings already exists: {_name(key)}")
        return pb.CreateSettingsResponse(
            settingsRecord=pb.SettingsRecord(key=request.key, settings=request.settings, version=1)
        )

    def update_settings(self, request: pb.UpdateSettingsRequest, _: Call) -> pb.UpdateSettingsResponse:
        """Replace a record.

        Raises:
            InvalidArgumentError: There are no settings, no version or no key, or the key has a project and no domain.
            NotFoundError: There is no record.
            FailedPreconditionError: It has another version.
        """
        key, body = _checked(request), _body(request)
        if not request.version:
            raise refusal(Code.INVALID_ARGUMENT, "a version is required; use CreateSettings for a new record")
        with self._state.database.transaction():
            if self._state.settings.get(key) is None:
                raise refusal(Code.NOT_FOUND, f"settings not found: {_name(key)}")
            if not self._state.settings.update(key, body, request.version):
                raise refusal(Code.FAILED_PRECONDITION, f"settings version conflict: {_name(key)}")
        return pb.UpdateSettingsResponse(
            settingsRecord=pb.SettingsRecord(key=request.key, settings=request.settings, version=request.version + 1)
        )


def _checked(request: Any) -> SettingsKey:
    if not request.HasField("key"):
        raise refusal(Code.INVALID_ARGUMENT, "key is required")
    key = request.key
    if key.project and not key.domain:
        raise refusal(Code.INVALID_ARGUMENT, "a project-scope key requires a domain")
    return SettingsKey(key.org, key.domain, key.project)


def _body(request: Any) -> bytes:
    if not request.HasField("settings"):
        raise refusal(Code.INVALID_ARGUMENT, "settings is required")
    return bytes(request.settings.SerializeToString())


def _levels(key: SettingsKey) -> list[SettingsKey]:
    levels = [SettingsKey(key.org, "", "")]
    if key.domain:
        levels.append(SettingsKey(key.org, key.domain, ""))
    if key.project:
        levels.append(key)
    return levels


def _name(key: SettingsKey) -> str:
    return f"v1:{key.org or DEFAULT_ORG}:{key.domain}:{key.project}"

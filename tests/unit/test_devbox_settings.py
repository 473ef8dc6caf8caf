"""SettingsService."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from devbox_services import CALL, Services

from flyte_lite import errors
from flyte_lite.idl.flyteidl2.settings import settings_definition_pb2, settings_service_pb2


@pytest.fixture
def box() -> Iterator[Services]:
    made = Services()
    yield made
    made.state.close()


def key(org: str = "o", domain: str = "", project: str = "") -> settings_definition_pb2.SettingsKey:
    return settings_definition_pb2.SettingsKey(org=org, domain=domain, project=project)


def queue(name: str) -> settings_definition_pb2.Settings:
    settings = settings_definition_pb2.Settings()
    settings.run.default_queue.string_value = name
    return settings


def create(box: Services, where: settings_definition_pb2.SettingsKey, name: str = "q") -> None:
    request = settings_service_pb2.CreateSettingsRequest(key=where, settings=queue(name))
    box.settings.create_settings(request, CALL)


def update(box: Services, version: int, where: settings_definition_pb2.SettingsKey) -> int:
    request = settings_service_pb2.UpdateSettingsRequest(key=where, settings=queue("new"), version=version)
    return box.settings.update_settings(request, CALL).settingsRecord.version


def levels(box: Services, where: settings_definition_pb2.SettingsKey) -> list[tuple[str, int]]:
    request = settings_service_pb2.GetSettingsForEditRequest(key=where)
    found = box.settings.get_settings_for_edit(request, CALL).levels
    return [(level.settings.run.default_queue.string_value, level.version) for level in found]


def test_each_level_has_a_record_of_its_own(box: Services) -> None:
    create(box, key(), "of the organization")
    create(box, key(domain="d", project="p"), "of the project")

    assert levels(box, key(domain="d", project="p")) == [("of the organization", 1), ("", 0), ("of the project", 1)]
    assert levels(box, key()) == [("of the organization", 1)]


def test_versions_are_locks(box: Services) -> None:
    create(box, key())

    assert update(box, 1, key()) == 2
    with pytest.raises(errors.FailedPreconditionError, match=r": settings version conflict: v1:o::$"):
        update(box, 1, key())
    with pytest.raises(errors.InvalidArgumentError):
        update(box, 0, key())
    with pytest.raises(errors.NotFoundError):
        update(box, 1, key("other"))
    assert levels(box, key()) == [("new", 2)]


def test_no_organization_is_the_default_one(box: Services) -> None:
    create(box, key(""))

    with pytest.raises(errors.AlreadyExistsError, match=r": settings already exists: v1:flyte::$"):
        create(box, key("flyte"))
    request = settings_service_pb2.GetSettingsForEditRequest(key=key(""))
    assert box.settings.get_settings_for_edit(request, CALL).levels[0].key.org == ""


def test_what_a_request_must_have(box: Services) -> None:
    with pytest.raises(errors.InvalidArgumentError, match="requires a domain"):
        create(box, key(project="p"))
    with pytest.raises(errors.InvalidArgumentError, match="key is required"):
        box.settings.create_settings(settings_service_pb2.CreateSettingsRequest(settings=queue("q")), CALL)
    with pytest.raises(errors.InvalidArgumentError, match="settings is required"):
        box.settings.create_settings(settings_service_pb2.CreateSettingsRequest(key=key()), CALL)


def test_nothing_is_resolved(box: Services) -> None:
    with pytest.raises(errors.UnimplementedError):
        box.settings.get_settings(settings_service_pb2.GetSettingsRequest(key=key()), CALL)

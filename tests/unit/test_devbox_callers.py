"""Inputs by address, who calls, and where the data plane is."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from devbox_services import CALL, Services, creation, integer, task_id

from flyte_lite import errors
from flyte_lite.devbox.services.auth_metadata import AuthMetadataService
from flyte_lite.devbox.services.call import Call
from flyte_lite.devbox.services.cluster import ClusterService
from flyte_lite.devbox.services.identity import IdentityService
from flyte_lite.idl.flyteidl2.auth import auth_service_pb2, identity_pb2
from flyte_lite.idl.flyteidl2.cluster import payload_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2


@pytest.fixture
def box() -> Iterator[Services]:
    made = Services()
    yield made
    made.state.close()


@pytest.mark.parametrize(
    ("inputs", "hash"),
    [
        ([("a", 40), ("b", 7)], "UnOJT15LQG8"),
        ([("b", 7), ("a", 40)], "LgBNxP9YDj8"),
        ([("a", 40)], "pw3z1ztpzQQ"),
        ([], "y_Kc5IQiIyU"),
        ([("i", 1)], "YxrdFPYCNtc"),
    ],
)
def test_uploaded_inputs_are_named_by_the_hash_that_the_real_server_makes(
    box: Services, inputs: list[tuple[str, int]], hash: str
) -> None:
    """The hashes were recorded on the real server."""
    box.deploy()
    request = dataproxy_service_pb2.UploadInputsRequest(task_id=task_id())
    request.project_id.name, request.project_id.domain = "flytesnacks", "development"
    request.inputs.SetInParent()
    request.inputs.literals.extend(integer(*each) for each in inputs)

    offloaded = box.data.upload_inputs(request, CALL).offloaded_input_data

    assert offloaded.inputs_hash == hash
    assert offloaded.uri == f"s3://flyte-data/uploads/flytesnacks/development/offloaded-inputs/{hash}"


def test_a_run_may_name_uploaded_inputs(box: Services) -> None:
    box.deploy()
    upload = dataproxy_service_pb2.UploadInputsRequest(task_id=task_id(), base_dir="s3://flyte-data/else/")
    upload.project_id.name, upload.project_id.domain, upload.project_id.organization = "flytesnacks", "staging", "acme"
    upload.inputs.literals.append(integer("x", 5))
    offloaded = box.data.upload_inputs(upload, CALL).offloaded_input_data
    request = creation()
    request.offloaded_input_data.CopyFrom(offloaded)
    box.runs.create_run(request, CALL)

    data = box.data.get_action_data(dataproxy_service_pb2.GetActionDataRequest(action_id=box.details().action.id), CALL)

    assert offloaded.uri.startswith("s3://flyte-data/else/acme/flytesnacks/staging/offloaded-inputs/")
    assert data.inputs_uri == f"{offloaded.uri}/inputs.pb"
    assert [literal.value.scalar.primitive.integer for literal in data.inputs.literals] == [5]


def test_what_is_missing_for_uploaded_inputs(box: Services) -> None:
    box.deploy()
    request = dataproxy_service_pb2.UploadInputsRequest()

    def refused() -> str:
        with pytest.raises(errors.CallError) as caught:
            box.data.upload_inputs(request, CALL)
        return f"{caught.value.code}: {caught.value.message}"

    assert refused() == "invalid_argument: id is required"
    request.project_id.name = "nope"
    assert refused() == 'not_found: project "nope" not found'
    request.project_id.name = "flytesnacks"
    assert refused() == "invalid_argument: task is required"
    request.task_id.CopyFrom(task_id("env.gone"))
    assert refused() == (
        "not_found: failed to get task: not_found: task not found: {flytesnacks development env.gone v1}"
    )
    request.task_id.CopyFrom(task_id())
    assert refused() == "internal: failed to write inputs: proto: Marshal called with nil"


def jwt(**claims: str) -> str:
    return "e30." + base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + ".sig"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer opaque"},
        {"authorization": "Bearer a.b!.c"},
        {"authorization": f"Bearer a.{base64.urlsafe_b64encode(b'[' * 99_999).decode()}.c"},
        {"authorization": "Basic x"},
    ],
    ids=["nothing", "opaque", "no base64", "deep", "basic"],
)
def test_without_an_identity_nobody_is_known(headers: dict[str, str]) -> None:
    with pytest.raises(errors.UnauthenticatedError, match="no authenticated identity"):
        IdentityService().user_info(identity_pb2.UserInfoRequest(), Call(headers))


def test_a_token_or_a_load_balancer_tells_who_calls() -> None:
    token = jwt(sub="u1", email="a@b.c", given_name="Ada", family_name="L", name="Ada L", preferred_username="ada")
    ask = identity_pb2.UserInfoRequest()

    by_token = IdentityService().user_info(ask, Call({"authorization": f"Bearer {token}"}))
    by_data = IdentityService().user_info(ask, Call({"x-amzn-oidc-data": token, "x-amzn-oidc-identity": "other"}))
    by_name = IdentityService().user_info(ask, Call({"x-amzn-oidc-identity": "other"}))

    assert (by_token.subject, by_token.name, by_token.email) == ("u1", "Ada L", "a@b.c")
    assert by_token.preferred_username == ""
    assert by_data == by_token
    assert by_name == identity_pb2.UserInfoResponse(subject="other")


def test_runs_record_who_made_them(box: Services) -> None:
    box.deploy()
    box.create("r1", authorization=f"Bearer {jwt(sub='u1', given_name='Ada')}")
    box.create("r2")
    by_u1 = {"filters": [{"field": "created_by_subject", "values": ["u1"]}]}

    assert box.listed(request=by_u1) == ["r1"]
    assert box.details("r1").action.metadata.executed_by.user.spec.first_name == "Ada"
    assert not box.details("r2").action.metadata.HasField("executed_by")


def test_the_data_plane_is_where_the_caller_is() -> None:
    ask = payload_pb2.SelectClusterRequest()

    plain = ClusterService().select_cluster(ask, Call({"host": "box:1"}))
    proxied = ClusterService().select_cluster(ask, Call({"host": "box", "x-forwarded-proto": "https"}))
    secure = ClusterService().select_cluster(ask, Call({"host": "box:1"}, scheme="https"))

    assert (plain.cluster_endpoint, plain.cluster) == ("http://box:1", "")
    assert proxied.cluster_endpoint == "https://box"
    assert secure.cluster_endpoint == "https://box:1"


def test_nobody_has_to_sign_in() -> None:
    service = AuthMetadataService()

    config = service.get_public_client_config(auth_service_pb2.GetPublicClientConfigRequest(), CALL)

    assert config == auth_service_pb2.GetPublicClientConfigResponse(authorization_metadata_key="authorization")
    with pytest.raises(errors.UnimplementedError, match="oauth2 metadata is not configured"):
        service.get_oauth2_metadata(auth_service_pb2.GetOAuth2MetadataRequest(), CALL)

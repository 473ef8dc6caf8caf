"""Reports and code bundles, from signed addresses."""

from __future__ import annotations

import gzip
import io
import logging
import tarfile
import traceback
from pathlib import Path
from typing import Any

import pytest
from fake_store import LINK, SIGNATURE, signed, stored, with_store
from fakes import FakeChannel

from flyte_lite import errors
from flyte_lite.errors import Code
from flyte_lite.idl.flyteidl2.common import phase_pb2
from flyte_lite.idl.flyteidl2.dataproxy import dataproxy_service_pb2
from flyte_lite.idl.flyteidl2.workflow import run_definition_pb2, run_service_pb2
from flyte_lite.models import CodeBundle
from flyte_lite.remote import Action, ActionDetails, Run

DETAILS = "RunService/GetActionDetails"
LOST = errors.ConnectionLostError("the connection broke")
EXPIRED = b"<?xml?><Error><Code>AccessDenied</Code><Message>Request has expired</Message><X>%s1</X></Error>"


def details(**status: Any) -> run_service_pb2.GetActionDetailsResponse:
    response = run_service_pb2.GetActionDetailsResponse()
    response.details.id.name = "a0"
    response.details.id.run.name, response.details.id.run.project, response.details.id.run.domain = "r1", "p", "d"
    response.details.status.phase = phase_pb2.ACTION_PHASE_SUCCEEDED
    response.details.status.attempts = status.get("attempts", 2)
    if "uri" in status:
        response.details.task.task_template.metadata.code_bundle_uri = status["uri"]
    return response


@pytest.fixture
def channel() -> FakeChannel:
    made = FakeChannel()
    made.on("ClusterService/SelectCluster", errors.UnimplementedError("no clusters", Code.UNIMPLEMENTED))
    return made.on(DETAILS, details(uri="s3://bucket/code/fast123.tar.gz"))


def run(channel: FakeChannel) -> Run:
    pb2 = run_definition_pb2.Run()
    pb2.action.id.CopyFrom(details().details.id)
    return Run(pb2, channel.session())


def packed(**files: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name.replace("__", "/") + ".py")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return data.getvalue()


def test_the_report_of_the_newest_attempt(channel: FakeChannel) -> None:
    store = with_store(channel, stored("<h1>grüße</h1>".encode(), content_type="text/html"))

    assert run(channel).get_report() == "<h1>grüße</h1>"
    (request,) = channel.asked(LINK)
    assert request.action_attempt_id.attempt == 2
    assert request.artifact_type == dataproxy_service_pb2.ARTIFACT_TYPE_REPORT
    assert not request.HasField("expires_in")
    (fetched,) = store.fetched
    assert fetched.url == f"https://store.example:443/b/report.html?X-Amz-Signature={SIGNATURE}1"
    # Nothing of who calls.
    assert fetched.headers == {"accept-encoding": "gzip"}


def test_an_attempt_that_is_given_is_not_looked_for(channel: FakeChannel) -> None:
    with_store(channel, stored(b"one"))
    action = Action(run_definition_pb2.Action(id=details().details.id), channel.session())

    assert action.get_report(1) == "one"
    assert channel.asked(DETAILS) == []


def test_a_packed_report_is_unpacked(channel: FakeChannel) -> None:
    with_store(channel, stored(gzip.compress(b"long"), content_encoding="gzip"))

    assert run(channel).get_report() == "long"


def test_an_expired_address_is_renewed_once(channel: FakeChannel) -> None:
    store = with_store(channel, stored(EXPIRED, status=403), stored(b"one"), link=[signed(number=1), signed(number=2)])

    assert run(channel).get_report() == "one"
    assert [fetched.url[-1] for fetched in store.fetched] == ["1", "2"]


def test_a_store_that_refuses_says_so_without_the_signature(
    channel: FakeChannel, caplog: pytest.LogCaptureFixture
) -> None:
    body = EXPIRED.replace(b"expired", b"expired: %s1") % ((SIGNATURE.encode(),) * 2)
    store = with_store(channel, stored(body, status=403), stored(body, status=403))

    with caplog.at_level(logging.DEBUG), pytest.raises(errors.PermissionDeniedError) as caught:
        run(channel).get_report()

    assert "HTTP 403 (AccessDenied: Request has expired: ...)" in str(caught.value)
    assert "GET at https://store.example:443" in str(caught.value)
    assert SIGNATURE not in "".join(traceback.format_exception(None, caught.value, caught.value.__traceback__))
    assert SIGNATURE not in caplog.text
    assert "GET https://store.example:443/b/report.html permission_denied" in caplog.text
    assert len(store.fetched) == 2


def test_the_server_s_own_refusal_is_not_taken_for_the_store_s(channel: FakeChannel) -> None:
    with_store(channel, stored(b""), link=[errors.PermissionDeniedError("not yours", Code.PERMISSION_DENIED)])

    with pytest.raises(errors.PermissionDeniedError, match="not yours"):
        run(channel).get_report()
    assert len(channel.asked(LINK)) == 1


@pytest.mark.parametrize("trouble", [LOST, stored(b"busy", status=503), stored(b"slow down", status=429)])
def test_a_store_in_trouble_is_asked_again(channel: FakeChannel, trouble: Any) -> None:
    store = with_store(channel, trouble, stored(b"one"))

    assert run(channel).get_report() == "one"
    assert len(store.fetched) == 2


def test_what_lower_layers_say_of_the_address_is_cut(channel: FakeChannel) -> None:
    error = errors.TlsError(f"no trust in url: /b/report.html?X-Amz-Signature={SIGNATURE}1")
    error.__cause__ = OSError(f"/b/report.html?X-Amz-Signature={SIGNATURE}1")
    with_store(channel, error)

    with pytest.raises(errors.TlsError) as caught:
        run(channel).get_report()
    assert SIGNATURE not in "".join(traceback.format_exception(None, caught.value, caught.value.__traceback__))


def test_a_redirect_is_told_and_not_followed(channel: FakeChannel) -> None:
    store = with_store(
        channel, stored(status=307, location=f"https://me:{SIGNATURE}@elsewhere.example/x?sig={SIGNATURE}")
    )

    with pytest.raises(errors.EndpointError, match=r"redirects to https://elsewhere\.example/x, which is") as caught:
        run(channel).get_report()
    assert SIGNATURE not in str(caught.value)
    assert len(store.fetched) == 1


def test_without_a_report_it_says_what_writes_one(channel: FakeChannel) -> None:
    with_store(channel, stored(b""), link=[errors.NotFoundError("artifact not found at [s3://x]", Code.NOT_FOUND)])

    with pytest.raises(errors.NotFoundError, match="run r1 has no report of attempt 2: only a task with report=True"):
        run(channel).get_report()


def test_a_report_that_is_gone_is_the_same(channel: FakeChannel) -> None:
    with_store(channel, stored(b"<Code>NoSuchKey</Code>", status=404))

    with pytest.raises(errors.NotFoundError, match=r"has no report of attempt 2.*NoSuchKey.*is gone"):
        run(channel).get_report()


def test_what_never_began_has_no_report(channel: FakeChannel) -> None:
    channel.on(DETAILS, details(attempts=0))

    with pytest.raises(errors.NotFoundError, match="was not begun"):
        run(channel).get_report()


@pytest.mark.parametrize("urls", [[], ["ftp://x/y"], ["https://user:secret@x/y"], ["https://x:99999/"], ["/path"]])
def test_an_address_that_is_none_is_told(channel: FakeChannel, urls: list[str]) -> None:
    response = dataproxy_service_pb2.CreateDownloadLinkResponse()
    response.pre_signed_urls.signed_url.extend(urls)
    with_store(channel, stored(b""), link=[response])

    none = (errors.NotFoundError, errors.EndpointError)
    with pytest.raises(none, match=r"address (to download|of its object store)") as caught:
        run(channel).get_report()
    assert "secret" not in str(caught.value)


def test_attempts_are_counted_from_one(channel: FakeChannel) -> None:
    for ask in (run(channel).get_report, lambda attempt: run(channel).download_code(attempt=attempt)):
        with pytest.raises(ValueError, match="attempt is 0"):
            ask(0)


def test_the_code_is_unpacked_where_it_is_wanted(channel: FakeChannel, tmp_path: Path) -> None:
    store = with_store(channel, stored(*[packed(main="print(1)", pkg__mod="x = 1")]))
    dest = tmp_path / "a" / "code"

    assert run(channel).download_code(dest) == dest
    assert {str(path.relative_to(dest)) for path in dest.rglob("*.py")} == {"main.py", str(Path("pkg/mod.py"))}
    assert [path for path in dest.iterdir() if path.name.startswith(".")] == []
    (request,) = channel.asked(LINK)
    assert request.artifact_type == dataproxy_service_pb2.ARTIFACT_TYPE_CODE_BUNDLE
    assert request.action_attempt_id.attempt == 2
    assert store.fetched[0].headers == {"accept-encoding": "identity"}


def test_it_goes_into_a_folder_of_the_run_s_name(
    channel: FakeChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_store(channel, stored(packed(main="print(1)")))
    monkeypatch.chdir(tmp_path)

    assert run(channel).download_code() == tmp_path / "r1"
    assert (tmp_path / "r1" / "main.py").read_text() == "print(1)"


def test_what_is_there_is_replaced_or_stays(channel: FakeChannel, tmp_path: Path) -> None:
    with_store(channel, stored(packed(main="new", pkg__a="a")))
    (tmp_path / "pkg").mkdir()
    for name in ("main.py", "other.py", "pkg/b.py"):
        (tmp_path / name).write_text("old")

    run(channel).download_code(str(tmp_path))

    found = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*.py")}
    assert found == {"main.py": "new", "other.py": "old", "pkg/a.py": "a", "pkg/b.py": "old"}


@pytest.mark.parametrize(
    ("uri", "extract", "name"),
    [
        ("s3://bucket/code/fast123.tar.gz", False, "fast123.tar.gz"),
        ("s3://bucket/code/task.pkl.gz", True, "task.pkl.gz"),
        ("s3://bucket/code/..", False, "code"),
    ],
)
def test_it_can_stay_packed(channel: FakeChannel, tmp_path: Path, uri: str, extract: bool, name: str) -> None:
    body = packed(main="x")
    channel.on(DETAILS, details(uri=uri))
    with_store(channel, stored(body[:10], body[10:], content_encoding="gzip"))

    assert run(channel).download_code(tmp_path, extract=extract) == tmp_path / name
    assert (tmp_path / name).read_bytes() == body
    assert len(list(tmp_path.iterdir())) == 1


def test_a_download_that_breaks_begins_again(channel: FakeChannel, tmp_path: Path) -> None:
    body = packed(main="x")
    with_store(channel, stored(body[:30], LOST), stored(body))

    run(channel).download_code(tmp_path)

    assert (tmp_path / "main.py").read_text() == "x"


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidArgumentError("artifact_type is required", Code.INVALID_ARGUMENT),
        errors.UnimplementedError("no", Code.UNIMPLEMENTED),
        errors.NotFoundError("no", Code.NOT_FOUND),
    ],
)
def test_a_server_that_gives_no_code_out_is_told_with_where_it_lies(
    channel: FakeChannel, tmp_path: Path, error: errors.CallError
) -> None:
    """The open-source server signs reports alone."""
    with_store(channel, stored(b""), link=[error])
    dest = tmp_path / "code"

    with pytest.raises(errors.CodeBundleError, match=r"run r1\. It lies at s3://bucket/code/fast123\.tar\.gz"):
        run(channel).download_code(dest)
    assert not dest.exists()


def test_code_in_the_image_can_t_be_downloaded(channel: FakeChannel, tmp_path: Path) -> None:
    channel.on(DETAILS, details())

    with pytest.raises(errors.CodeBundleError, match="run r1 has no code bundle: its code is in its image"):
        run(channel).download_code(tmp_path)


def test_a_file_is_no_folder(channel: FakeChannel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ValueError, match="no folder"):
        run(channel).download_code(tmp_path / "file")
    with pytest.raises(ValueError, match="timeout"):
        run(channel).download_code(tmp_path, timeout=-1)


def test_the_bundle_is_read_from_the_arguments() -> None:
    pb2 = run_definition_pb2.ActionDetails()
    arguments = ["a0", "--version", "v1", "--tgz", "s3://b/x.tar.gz", "--dest", "/root", "--tgz", "s3://b/y.tar.gz"]
    pb2.task.task_template.container.args.extend(arguments)
    pb2.task.task_template.metadata.code_bundle_uri = "s3://b/z.tar.gz"

    assert ActionDetails(pb2).code_bundle == CodeBundle(
        computed_version="v1", destination="/root", tgz="s3://b/y.tar.gz"
    )


def test_or_from_those_of_the_pod_s_primary_container() -> None:
    pb2 = run_definition_pb2.ActionDetails()
    pod = pb2.task.task_template.k8s_pod
    pod.pod_spec.update({"containers": [{"name": "side"}, {"name": "main", "args": ["--pkl", "s3://b/f.pkl.gz"]}]})
    assert ActionDetails(pb2).code_bundle is None
    pb2.task.task_template.config["primary_container_name"] = "main"
    by_config = ActionDetails(pb2).code_bundle
    pod.primary_container_name = "main"

    assert by_config == ActionDetails(pb2).code_bundle == CodeBundle(computed_version="", pkl="s3://b/f.pkl.gz")


@pytest.mark.parametrize(
    ("uri", "kind"), [("s3://b/z.tar.gz", "tgz"), ("s3://b/Z.PKL.GZ?version=1", "pkl"), ("s3://b/z.pkl", "pkl")]
)
def test_or_from_the_metadata(uri: str, kind: str) -> None:
    pb2 = run_definition_pb2.ActionDetails()
    assert ActionDetails(pb2).code_bundle is None
    pb2.task.task_template.metadata.code_bundle_uri = uri

    assert ActionDetails(pb2).code_bundle == CodeBundle(computed_version="", **{kind: uri})


def test_a_run_has_that_of_its_root_action(channel: FakeChannel) -> None:
    answer = run_service_pb2.GetRunDetailsResponse()
    answer.details.action.CopyFrom(details(uri="s3://b/z.tar.gz").details)
    channel.on("RunService/GetRunDetails", answer)

    assert run(channel).code_bundle() == CodeBundle(computed_version="", tgz="s3://b/z.tar.gz")

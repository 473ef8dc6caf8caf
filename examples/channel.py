"""A channel of your own: calls packed, counted and limited in size, and stubs that gRPC generates, over HTTP/1.1."""

from collections import Counter

import flyte_lite as flyte
from flyte_lite.devbox import Devbox
from flyte_lite.idl.flyteidl2.project import project_service_pb2

asked = Counter()


def count(call, proceed):
    # Once a call, of whatever kind: before it, after it, or instead of it.
    call.headers["x-team"] = ["ml"]
    try:
        return proceed(call)
    finally:
        asked[str(call.method)] += call.attempts


with Devbox() as box:

    @box.task(name="greetings.hello", version="v1")
    def hello(name: str) -> str:
        return f"hello {name}"

    channel = flyte.remote.create_channel(
        box.endpoint,
        compression="gzip",
        grpc_options=[("grpc.max_receive_message_length", 16 * 1024 * 1024)],
        interceptors=[count],
    )
    with flyte.Client(channel=channel, project="flytesnacks", domain="development") as client:
        run = client.run(client.tasks.get("greetings.hello", version="v1"), name="Ada")
        run.wait(timeout=60)
        print(run.outputs()[0])

    # What grpc's generated stubs ask of a channel; `RunServiceStub(channel)` of flyteidl2 works the same way.
    get_project = channel.unary_unary(
        "/flyteidl2.project.ProjectService/GetProject",
        request_serializer=project_service_pb2.GetProjectRequest.SerializeToString,
        response_deserializer=project_service_pb2.GetProjectResponse.FromString,
    )
    print("project", get_project(project_service_pb2.GetProjectRequest(id="flytesnacks"), timeout=10).project.id)
    print("asked", asked["RunService/CreateRun"], "time to make a run")

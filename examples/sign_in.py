"""Show that a script signs in, and goes on when its tokens end: the devbox gives them out itself."""

import flyte_lite as flyte
from flyte_lite.devbox import Devbox
from flyte_lite.errors import UnauthenticatedError
from flyte_lite.remote import create_channel

WHERE = {"project": "flytesnacks", "domain": "development"}

with Devbox(auth=True) as box:

    @box.task(name="greetings.hello", version="v1")
    def hello(name: str) -> str:
        return f"hello {name}"

    # With an API key, or with client_id= and client_credentials_secret=.
    with flyte.Client(api_key=box.issuer.api_key, **WHERE) as client:
        run = client.run(client.tasks.get("greetings.hello", version="v1"), name="Ada")
        box.issuer.expire_tokens()  # as if an hour had passed
        run.wait(timeout=60)
        print(run.outputs()[0], "with", box.issuer.issued()["client_credentials"], "tokens")

    # As a person, who signs in with a browser or a device code elsewhere; a token made by hand does for a test.
    with create_channel(box.endpoint, token=box.issuer.token("ada")) as channel:
        client = flyte.Client(channel=channel, **WHERE)
        print(client.runs.get(run.name).phase, "for a person, too")

    with flyte.Client(box.endpoint, **WHERE) as client:
        try:
            client.runs.get(run.name)
        except UnauthenticatedError as error:
            print("nobody else is let in:", type(error).__name__)

"""Share tokens between processes and machines, in a store of your own."""

import flyte_lite as flyte
from flyte_lite.devbox import Devbox


class Vault:
    """Your own store of tokens, such as a secrets manager that several machines use."""

    def __init__(self):
        self.kept = {}

    def get(self, service, name):
        return self.kept.get((service, name))

    def set(self, service, name, value):
        self.kept[service, name] = value

    def delete(self, service, name):
        self.kept.pop((service, name), None)


def runs(vault: Vault, key: str) -> int:
    """What each of your processes does."""
    with flyte.Client(api_key=key, project="flytesnacks", domain="development", token_store=vault) as client:
        return len(list(client.runs.listall()))


with Devbox(auth=True) as box:
    vault, key = Vault(), box.issuer.api_key
    for _ in range(3):
        runs(vault, key)
    print("tokens for three processes:", sum(box.issuer.issued().values()))

    box.issuer.expire_tokens()
    runs(vault, key)
    print("after their time:", sum(box.issuer.issued().values()))

"""The table of settings: what each is called in an argument, in a file and in the environment."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """One setting.

    Attributes:
        setting: The field of `Config`, and the argument of `init` and `Client`.
        path: Section and key in a file; "" if a file, which the official SDK reads, too, can't say it.
        variables: Variables of the environment; the first that is set wins.
        kind: "text", "flag", "words" (scopes), "command" (a program and its arguments), "texts" (names to texts) or
            "store" (of tokens).
    """

    setting: str
    path: str
    variables: tuple[str, ...]
    kind: str = "text"


SECRET = "client_credentials_secret"

KEYS = (
    Key("endpoint", "admin.endpoint", ("FLYTE_ADMIN_ENDPOINT",)),
    Key("insecure", "admin.insecure", ("FLYTE_ADMIN_INSECURE",), "flag"),
    Key("insecure_skip_verify", "admin.insecureSkipVerify", ("FLYTE_ADMIN_INSECURESKIPVERIFY",), "flag"),
    Key("ca_cert_file_path", "admin.caCertFilePath", ("FLYTE_ADMIN_CACERTFILEPATH",)),
    Key("http_proxy_url", "admin.httpProxyURL", ("FLYTE_ADMIN_HTTPPROXYURL",)),
    Key("console_endpoint", "console.endpoint", ("FLYTE_CONSOLE_ENDPOINT",)),
    Key("auth_type", "admin.authType", ("FLYTE_AUTH_TYPE", "FLYTE_ADMIN_AUTHTYPE")),
    Key("command", "admin.command", ("FLYTE_AUTH_COMMAND", "FLYTE_ADMIN_COMMAND"), "command"),
    Key(
        "proxy_command",
        "admin.proxyCommand",
        ("FLYTE_AUTH_PROXY_COMMAND", "FLYTE_ADMIN_PROXYCOMMAND"),
        "command",
    ),
    Key("client_id", "admin.clientId", ("FLYTE_ADMIN_CLIENTID",)),
    Key("scopes", "admin.scopes", ("FLYTE_ADMIN_SCOPES",), "words"),
    Key("disable_keyring", "admin.disableKeyring", ("FLYTE_ADMIN_DISABLEKEYRING",), "flag"),
    Key("token_store", "", ("FLYTE_LITE_TOKEN_STORE",), "store"),
    Key("org", "task.org", ("FLYTE_TASK_ORG",)),
    Key("project", "task.project", ("FLYTE_TASK_PROJECT",)),
    Key("domain", "task.domain", ("FLYTE_TASK_DOMAIN",)),
    # What builds images and what runs tasks on this machine read these; here they are kept for scripts that look.
    Key("image_builder", "image.builder", ("FLYTE_IMAGE_BUILDER",)),
    Key("images", "image.image_refs", ("FLYTE_IMAGE_IMAGE_REFS",), "texts"),
    Key("image_registry", "image.registry", ("FLYTE_IMAGE_REGISTRY",)),
    Key("local_persistence", "local.persistence", ("FLYTE_LOCAL_PERSISTENCE",), "flag"),
    Key("local_tracked", "local.tracked", ("FLYTE_LOCAL_TRACKED",), "flag"),
    Key("local_tracked_strict", "local.tracked_strict", ("FLYTE_LOCAL_TRACKED_STRICT",), "flag"),
)
"""Every setting that has a variable, and a place in a file, in the order in which it is explained."""

SECRET_KEYS = (
    Key("client_secret_env_var", "admin.clientSecretEnvVar", ("FLYTE_ADMIN_CLIENTSECRETENVVAR",)),
    Key("client_secret_location", "admin.clientSecretLocation", ("FLYTE_ADMIN_CLIENTSECRETLOCATION",)),
)
"""Where the client's secret is: the name of another variable, then a file. Both lead to `client_credentials_secret`."""

API_KEY_VARIABLE = "FLYTE_API_KEY"

# Sections and keys of other programs that share the file (flytectl, uctl, the official SDK's older versions): nothing
# to warn of.
FOREIGN_SECTIONS = frozenset(("logger", "storage", "files", "union", "database", "otel", "sandbox"))
FOREIGN_KEYS = frozenset(
    f"admin.{key}"
    for key in (
        "audience",
        "authorizationHeader",
        "authorizationServerUrl",
        "connection",
        "defaultOrg",
        "defaultServiceConfig",
        "deviceFlowConfig",
        "maxBackoffDelay",
        "maxMessageSizeBytes",
        "maxRetries",
        "perRetryTimeout",
        "pkceConfig",
        "tokenRefreshWindow",
        "tokenUrl",
        "useAudienceFromAdmin",
        "useAuth",
    )
)

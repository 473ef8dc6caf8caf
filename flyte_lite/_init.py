"""`init` and its kin: they make one client the process's default."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

from flyte_lite import _session
from flyte_lite._client import Client
from flyte_lite._session import UNSET, Timeout
from flyte_lite.config import Config
from flyte_lite.config._values import expanded
from flyte_lite.errors import ConfigError

if TYPE_CHECKING:
    from requests import Session

    from flyte_lite._auth.store import TokenStore
    from flyte_lite._rpc.channel import Channel

_Path = Union[str, "os.PathLike[str]"]


def init(
    org: Optional[str] = None,
    project: Optional[str] = None,
    domain: Optional[str] = None,
    root_dir: Optional[_Path] = None,
    log_level: Union[int, str, None] = None,
    log_format: Optional[str] = None,
    reset_root_logger: bool = False,
    user_log_level: Optional[int] = None,
    endpoint: Optional[str] = None,
    headless: Optional[bool] = None,
    insecure: Optional[bool] = None,
    insecure_skip_verify: Optional[bool] = None,
    ca_cert_file_path: Optional[_Path] = None,
    auth_type: Optional[str] = None,
    command: Optional[Sequence[str]] = None,
    proxy_command: Optional[Sequence[str]] = None,
    api_key: Optional[str] = None,
    client_id: Optional[str] = None,
    client_credentials_secret: Union[str, Callable[[], str], None] = None,
    auth_client_config: Any = None,
    rpc_retries: Optional[int] = None,
    http_proxy_url: Optional[str] = None,
    disable_keyring: Optional[bool] = None,
    storage: Any = None,
    batch_size: Optional[int] = None,
    image_builder: Optional[str] = None,
    images: Any = None,
    image_registry: Optional[str] = None,
    source_config_path: Optional[_Path] = None,
    sync_local_sys_paths: bool = True,
    load_plugin_type_transformers: bool = True,
    local_persistence: bool = False,
    local_tracked: bool = False,
    local_tracked_strict: bool = False,
    scopes: Optional[Sequence[str]] = None,
    *,
    token_store: Union[_Path, TokenStore, None] = None,
    audience: Optional[str] = None,
    proxies: Union[str, Mapping[str, Optional[str]], None] = None,
    ssl_credentials: Any = None,
    http_session: Optional[Session] = None,
    timeout: Timeout = UNSET,
    channel: Optional[Channel] = None,
) -> Client:
    """Set whom the whole process talks to by default, by arguments and the environment, and return it as a client.

    No file is read: see `init_from_config`. What was made by another client, or before, stays with its own.

    Args:
        org: See `Client`, as for all that is not explained here.
        project: Default project.
        domain: Default domain.
        root_dir: No effect: no code is packed here, and `sys.path` is left alone.
        log_level: Least level of the logger `flyte_lite`, such as `logging.DEBUG`; shown on stderr if the program has
            no handlers of its own. None leaves it.
        log_format: "console" or "json" of a handler that is added for `log_level` or for "json" alone.
        reset_root_logger: True replaces the root logger's handlers by one of that format; False never touches them.
        user_log_level: No effect: no tasks run here.
        endpoint: The server.
        headless: True never asks a person to sign in, False wherever we are, None where somebody can answer.
        insecure: True for plain HTTP where the endpoint says neither http nor https.
        insecure_skip_verify: True takes any certificate.
        ca_cert_file_path: PEM file of the only authorities to trust.
        auth_type: How to sign in.
        command: Program and arguments that print a token.
        proxy_command: Program and arguments that print a token for a proxy before the server.
        api_key: Endpoint, client id, secret and organization in one.
        client_id: Whom the secret is of.
        client_credentials_secret: The secret, or a function that gives it.
        auth_client_config: What is known of the identity provider.
        rpc_retries: Most repeats of one call; None is 3.
        http_proxy_url: Proxy for everything.
        disable_keyring: True keeps a person's tokens out of the keyring.
        storage: No effect: data goes through signed addresses that the server gives.
        batch_size: No effect: lists ask for pages of their own size.
        image_builder: No effect, as for all of images: none are built here.
        images: No effect.
        image_registry: No effect.
        source_config_path: No effect: `client.config.source` is the file that was read.
        sync_local_sys_paths: No effect: no code is packed here.
        load_plugin_type_transformers: No effect: values need no plugins.
        local_persistence: No effect, as for the two below: no tasks run here.
        local_tracked: No effect.
        local_tracked_strict: No effect.
        scopes: What to ask the identity provider for.
        token_store: Where tokens are kept: "memory", "keyring", "file", the path of a folder, or an object.
        audience: Whom tokens are for.
        proxies: Proxies, as `requests` takes them.
        ssl_credentials: Authorities to trust, a client's certificate and key, or an `ssl.SSLContext`.
        http_session: A `requests.Session` for all requests.
        timeout: See `Client`.
        channel: What `remote.create_channel` made.

    Raises:
        ConfigError: There is no endpoint, or a setting can't be read. Nothing is sent here.
    """
    client = Client(
        endpoint,
        project=project,
        domain=domain,
        org=org,
        api_key=api_key,
        insecure=insecure,
        insecure_skip_verify=insecure_skip_verify,
        ca_cert_file_path=ca_cert_file_path,
        auth_type=auth_type,
        command=command,
        proxy_command=proxy_command,
        client_id=client_id,
        client_credentials_secret=client_credentials_secret,
        scopes=scopes,
        audience=audience,
        auth_client_config=auth_client_config,
        headless=headless,
        rpc_retries=rpc_retries,
        http_proxy_url=http_proxy_url,
        disable_keyring=disable_keyring,
        token_store=token_store,
        proxies=proxies,
        ssl_credentials=ssl_credentials,
        http_session=http_session,
        timeout=timeout,
        channel=channel,
    )
    return _default(client, log_level, log_format, reset_root_logger)


def init_from_config(
    path_or_config: Union[Config, _Path, None] = None,
    root_dir: Optional[_Path] = None,
    log_level: Union[int, str, None] = None,
    log_format: Optional[str] = None,
    user_log_level: Optional[int] = None,
    org: Optional[str] = None,
    project: Optional[str] = None,
    domain: Optional[str] = None,
    storage: Any = None,
    batch_size: Optional[int] = None,
    image_builder: Optional[str] = None,
    images: Any = None,
    sync_local_sys_paths: bool = True,
    *,
    timeout: Timeout = UNSET,
) -> Client:
    """`init`, by a file and the environment; a variable wins over the file.

    Args:
        path_or_config: A file, or what `flyte_lite.config.auto` gave; None looks for one, see `Config.auto`.
        root_dir: The folder that a path is in; None is the current one.
        log_level: See `init`.
        log_format: See `init`.
        user_log_level: No effect.
        org: Instead of the file's, if not empty.
        project: Instead of the file's, if not empty.
        domain: Instead of the file's, if not empty.
        storage: No effect, as all the rest of them: see `init`.
        batch_size: No effect.
        image_builder: No effect.
        images: No effect.
        sync_local_sys_paths: No effect.
        timeout: Seconds of one call; None, written out, has no end.

    Raises:
        ConfigError: There is no endpoint, or a file or a variable can't be read; the text names file, line and key.
    """
    if root_dir is not None and isinstance(path_or_config, (str, os.PathLike)):
        path_or_config = expanded(root_dir) / path_or_config
    client = Client.from_config(
        path_or_config, org=org or None, project=project or None, domain=domain or None, timeout=timeout
    )
    return _default(client, log_level, log_format)


def init_from_api_key(
    api_key: Optional[str] = None,
    project: Optional[str] = None,
    domain: Optional[str] = None,
    root_dir: Optional[_Path] = None,
    log_level: Union[int, str, None] = None,
    log_format: Optional[str] = None,
    storage: Any = None,
    batch_size: Optional[int] = None,
    image_builder: Optional[str] = None,
    images: Any = None,
    sync_local_sys_paths: bool = True,
    insecure_skip_verify: Optional[bool] = None,
    ca_cert_file_path: Optional[_Path] = None,
    *,
    timeout: Timeout = UNSET,
) -> Client:
    """`init`, by an API key, which says endpoint, client id, secret and organization.

    Args:
        api_key: None reads FLYTE_API_KEY.
        project: Default project.
        domain: Default domain.
        root_dir: No effect, as what follows but the log's: see `init`.
        log_level: See `init`.
        log_format: See `init`.
        storage: No effect.
        batch_size: No effect.
        image_builder: No effect.
        images: No effect.
        sync_local_sys_paths: No effect.
        insecure_skip_verify: True takes any certificate.
        ca_cert_file_path: PEM file of the only authorities to trust.
        timeout: Seconds of one call; None, written out, has no end.

    Raises:
        ConfigError: There is no key, or it is none.
    """
    key = api_key or os.environ.get("FLYTE_API_KEY")
    if not key:
        raise ConfigError(
            "no API key is set: give init_from_api_key(api_key=...), or set FLYTE_API_KEY", code="MissingApiKeyError"
        )
    client = Client(
        api_key=key,
        project=project,
        domain=domain,
        insecure_skip_verify=insecure_skip_verify,
        ca_cert_file_path=ca_cert_file_path,
        timeout=timeout,
    )
    return _default(client, log_level, log_format)


def init_passthrough(
    endpoint: Optional[str] = None,
    org: Optional[str] = None,
    project: Optional[str] = None,
    domain: Optional[str] = None,
    insecure: bool = False,
) -> dict[str, Any]:
    """`init`, where each call is made with the headers of `with remote.auth_metadata(...)`.

    Args:
        endpoint: None reads _U_EP_OVERRIDE, which a task's container has, then FLYTE_ADMIN_ENDPOINT.
        org: Organization.
        project: Default project.
        domain: Default domain.
        insecure: True for plain HTTP where the endpoint says neither http nor https.

    Returns:
        `endpoint`, as it was given, and `insecure`.

    Raises:
        ConfigError: There is no endpoint.
    """
    client = Client(
        endpoint or os.environ.get("_U_EP_OVERRIDE"),
        org=org,
        project=project,
        domain=domain,
        insecure=insecure or None,
        auth_type="Passthrough",
    )
    _default(client)
    return {"endpoint": endpoint, "insecure": insecure}


def init_in_cluster(
    org: Optional[str] = None,
    project: Optional[str] = None,
    domain: Optional[str] = None,
    api_key: Optional[str] = None,
    endpoint: Optional[str] = None,
    insecure: bool = False,
) -> dict[str, Any]:
    """`init`, inside a task's container, by what the platform put into its environment.

    Who calls is said by `api_key`, else by the file that UCTL_CONFIG or FLYTECTL_CONFIG names, else by FLYTE_AUTH_TYPE
    and its kin, else by the key in _UNION_EAGER_API_KEY or EAGER_API_KEY.

    Args:
        org: None reads _U_ORG_NAME.
        project: None reads FLYTE_INTERNAL_EXECUTION_PROJECT.
        domain: None reads FLYTE_INTERNAL_EXECUTION_DOMAIN.
        api_key: Says all of it.
        endpoint: None reads _U_EP_OVERRIDE, then FLYTE_ADMIN_ENDPOINT, then takes `host.docker.internal:8090`.
        insecure: True for plain HTTP; _U_INSECURE says so, too, and so do endpoints of `localhost` and `docker`.

    Returns:
        What the client was made with, under the names of `init`.

    Raises:
        ConfigError: A file, a key or a variable can't be read.
    """
    from flyte_lite._in_cluster import SAID_BY_VARIABLES, arguments_of, returned_of

    where: dict[str, Any] = {
        "org": org or os.environ.get("_U_ORG_NAME"),
        "project": project or os.environ.get("FLYTE_INTERNAL_EXECUTION_PROJECT"),
        "domain": domain or os.environ.get("FLYTE_INTERNAL_EXECUTION_DOMAIN"),
    }
    file = None if api_key else os.environ.get("UCTL_CONFIG") or os.environ.get("FLYTECTL_CONFIG")
    if file:
        where.update(headless=True, disable_keyring=True)
        client = _default(Client(endpoint, config=file, insecure=insecure or None, **where))
        return returned_of(client.config, os.environ)
    arguments = arguments_of(api_key, endpoint, insecure, os.environ)
    own = {name: value for name, value in arguments.items() if name not in SAID_BY_VARIABLES}
    _default(Client(**own, headless=True, disable_keyring=True, **where))
    return arguments


def _default(
    client: Client,
    log_level: Union[int, str, None] = None,
    log_format: Optional[str] = None,
    reset_root_logger: bool = False,
) -> Client:
    if log_level is not None or log_format is not None or reset_root_logger:
        from flyte_lite._log_lines import show_log

        show_log(log_level, log_format, reset_root_logger)
    _session.set_default(client._session)
    return client

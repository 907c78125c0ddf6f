"""Where people look a transaction up: Solana's explorer, at the cluster that is traded on. Pure."""

from __future__ import annotations

from urllib.parse import quote

from events.secret import MASK, SecretUrl

EXPLORER = "https://explorer.solana.com/tx/"


def explorer_of(cluster: str, rpc_url: SecretUrl | str = "") -> str:
    """What follows a signature in the explorer's URL; `rpc_url`: of a chain of one's own.

    Empty where that URL holds a key: the link is in every answer.
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
    """The URL of a transaction; None where there is no explorer for it."""
    return explorer.replace("{}", signature, 1) if explorer and signature else None

"""Links to an explorer: of every chain there is one, and no key of a node is in it."""

from __future__ import annotations

import pytest

from projections.views.explorer import explorer_of, link


@pytest.mark.parametrize(
    ("cluster", "url", "ending"),
    [
        ("mainnet", "https://rpc.example/key", "/tx/SIG"),
        ("devnet", "https://rpc.example/key", "/tx/SIG?cluster=devnet"),
        (
            "local",
            "http://127.0.0.1:8899",
            "/tx/SIG?cluster=custom&customUrl=http%3A%2F%2F127.0.0.1%3A8899",
        ),
    ],
)
def test_a_transaction_is_looked_up_on_its_own_cluster(cluster: str, url: str, ending: str) -> None:
    text = link(explorer_of(cluster, url), "SIG")
    assert text is not None
    assert text.endswith(ending)
    assert "key" not in text


@pytest.mark.parametrize("url", ["https://rpc.example/key", "https://u:key@h", "https://h?k=key"])
def test_a_chain_behind_a_key_has_no_link(url: str) -> None:
    assert link(explorer_of("local", url), "SIG") is None

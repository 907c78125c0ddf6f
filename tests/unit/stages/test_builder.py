"""What builder and submitter decide."""

from __future__ import annotations

from events.secret import SecretBytes
from events.types import TransactionBuilt, TransactionSubmitted
from stages import builder, submitter
from stages.venues import Built
from tests.support.histories import DEAD, SENT, market
from tests.support.specification import given


def test_the_builder_records_the_bytes_under_the_next_attempt_number() -> None:
    built = Built("sig-2", SecretBytes(b"raw-2"), 99)
    given(market(), *SENT, DEAD).when(builder.decide, built).then(
        TransactionBuilt(2, "sig-2", 99, SecretBytes(b"raw-2"))
    )


def test_the_submitter_records_the_signature_of_the_builder() -> None:
    given(market(), *SENT[:3]).when(submitter.decide, None).then(TransactionSubmitted(1, "sig-1"))

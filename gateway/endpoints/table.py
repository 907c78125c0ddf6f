"""All endpoints. The gateway serves these and no others.

Router, authorization, OpenAPI, AsyncAPI, docs/reference and the Postman collection are made from
this table.
"""

from __future__ import annotations

from gateway.endpoints import (
    admin,
    audit,
    console,
    documents,
    events,
    observability,
    orders,
    quotes,
)
from gateway.endpoints.endpoint import Endpoint, table_of

ENDPOINTS: dict[tuple[str, str], Endpoint] = table_of(
    (
        *orders.ENDPOINTS,
        *events.ENDPOINTS,
        *quotes.ENDPOINTS,
        *admin.ENDPOINTS,
        *audit.ENDPOINTS,
        *observability.ENDPOINTS,
        *console.ENDPOINTS,
        *documents.ENDPOINTS,
    )
)
"""By method and path, in the order of the documents."""

-- Events of the archive that no store has intact, and that a person gave up: one row a position.
CREATE TABLE accepted_losses (
    position    bigint PRIMARY KEY,
    order_id    text   NOT NULL,            -- empty where nothing tells it
    digest      bytea  NOT NULL,            -- SHA-256 of the row that stands there; empty: no row
    detail      text   NOT NULL,            -- what was known of the loss
    accepted_by text   NOT NULL,
    accepted_us bigint NOT NULL,
    reason      text   NOT NULL,
    version     int,                        -- with the next three: from what the order goes on
    hash        bytea,                      -- behind this position
    positions   bigint[],
    state       bytea
);

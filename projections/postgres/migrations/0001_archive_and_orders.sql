-- The archive: every event of the log, for ever. Never dropped; everything else is made from it.
-- `body` is what the order's hash chain covers; times are µs since the Unix epoch, UTC.
CREATE TABLE events (
    position bigint PRIMARY KEY,
    time_us  bigint NOT NULL,              -- the log server's clock; the writer's is in the body
    order_id uuid   NOT NULL,              -- all zeros where the body cannot be read
    version  int    NOT NULL,
    type     text   NOT NULL,
    hash     bytea  NOT NULL,
    body     bytea  NOT NULL
);

-- Orders as their events left them. `engine projections rebuild` makes this table anew, so nothing
-- may refer to it. Amounts are base units. No index but these: each one costs every order.
CREATE TABLE orders (
    id              uuid   PRIMARY KEY,    -- UUIDv7: ordered by creation
    created_us      bigint NOT NULL,
    updated_us      bigint NOT NULL,
    version         int    NOT NULL,
    attempts        int    NOT NULL,
    account         text   NOT NULL,
    client_order_id text,
    status          text   NOT NULL,
    type            text   NOT NULL,
    token_in        text   NOT NULL,
    token_out       text   NOT NULL,
    amount_in       numeric(20, 0) NOT NULL,
    amount_out      numeric(20, 0),
    price           text,                  -- decimals as published; cast them to numeric to count
    executed_price  text,
    dex             text,
    signature       text,
    parked          text,                  -- why the engine stopped work on it
    reason          text,                  -- why it failed
    hash            bytea  NOT NULL,       -- of its last event
    positions       bigint[] NOT NULL,     -- of its events: the archive needs no second index
    state           bytea  NOT NULL        -- the folded order, as in its head
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 10000);

-- Nearly all orders are confirmed sooner or later: walking the primary key finds those.
CREATE INDEX orders_status_id_idx ON orders (status, id) WHERE status <> 'confirmed';
CREATE INDEX orders_client_order_id_idx ON orders (client_order_id) WHERE client_order_id IS NOT NULL;

-- How far a projection is: through which position, of which epoch of the log, and what stood there.
CREATE TABLE checkpoints (
    name       text   PRIMARY KEY,
    epoch      bigint NOT NULL,
    position   bigint NOT NULL,
    digest     bytea  NOT NULL,            -- SHA-256 of the log entry that holds `position`
    time_us    bigint NOT NULL,            -- of the event there
    generation bigint NOT NULL DEFAULT 1,  -- raised when a rebuild replaces the tables
    halted     text                        -- why it stopped, where it did
);

-- Orders that could not be folded: their events are in the archive, their row in `orders` is behind.
CREATE TABLE projection_parked (
    order_id  uuid     PRIMARY KEY,
    reason    text     NOT NULL,
    positions bigint[] NOT NULL            -- from the first event that could not be folded
);

-- The events of one order, in order. A function, not a view: views would hold on to a table that
-- a rebuild replaces.
CREATE FUNCTION order_events(wanted uuid) RETURNS SETOF events LANGUAGE sql STABLE AS $$
    SELECT e.* FROM events e
    WHERE e.position = ANY (
        coalesce((SELECT positions FROM orders WHERE id = wanted), '{}')
        || coalesce((SELECT positions FROM projection_parked WHERE order_id = wanted), '{}')
    )
    ORDER BY e.position
$$;

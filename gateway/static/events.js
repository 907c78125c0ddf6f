// The events: names, headings, and which service writes them. Made by `engine docs --write`.

export const AttemptFailed = "AttemptFailed";
export const EngineHalted = "EngineHalted";
export const EngineResumed = "EngineResumed";
export const KeyCreated = "KeyCreated";
export const KeyRevoked = "KeyRevoked";
export const KeyRotated = "KeyRotated";
export const OrderAmended = "OrderAmended";
export const OrderArmed = "OrderArmed";
export const OrderCancelled = "OrderCancelled";
export const OrderConfirmed = "OrderConfirmed";
export const OrderExpired = "OrderExpired";
export const OrderFailed = "OrderFailed";
export const OrderParked = "OrderParked";
export const OrderRearmed = "OrderRearmed";
export const OrderRequeued = "OrderRequeued";
export const OrderRouted = "OrderRouted";
export const OrderSubmitted = "OrderSubmitted";
export const OrderTriggered = "OrderTriggered";
export const RoutingStarted = "RoutingStarted";
export const TransactionBuilt = "TransactionBuilt";
export const TransactionExpired = "TransactionExpired";
export const TransactionInDoubt = "TransactionInDoubt";
export const TransactionRecovered = "TransactionRecovered";
export const TransactionSubmitted = "TransactionSubmitted";

export const LABELS = {
  AttemptFailed: "Attempt failed",
  EngineHalted: "Engine halted",
  EngineResumed: "Engine resumed",
  KeyCreated: "Key created",
  KeyRevoked: "Key revoked",
  KeyRotated: "Key rotated",
  OrderAmended: "Amended",
  OrderArmed: "Waiting for the market",
  OrderCancelled: "Cancelled",
  OrderConfirmed: "Confirmed",
  OrderExpired: "Expired",
  OrderFailed: "Failed",
  OrderParked: "Parked",
  OrderRearmed: "Back to waiting",
  OrderRequeued: "Requeued",
  OrderRouted: "Route chosen",
  OrderSubmitted: "Accepted",
  OrderTriggered: "Triggered",
  RoutingStarted: "Routing",
  TransactionBuilt: "Transaction built",
  TransactionExpired: "Transaction dead",
  TransactionInDoubt: "In doubt",
  TransactionRecovered: "Settled by the chain's record",
  TransactionSubmitted: "Sent",
};

export const WRITERS = {
  OrderAmended: "gateway",
  OrderArmed: "watcher",
  OrderCancelled: "gateway",
  OrderConfirmed: "confirmer",
  OrderExpired: "watcher",
  OrderRouted: "router",
  OrderSubmitted: "gateway",
  OrderTriggered: "watcher",
  RoutingStarted: "router",
  TransactionBuilt: "builder",
  TransactionExpired: "confirmer",
  TransactionInDoubt: "confirmer",
  TransactionSubmitted: "submitter",
};

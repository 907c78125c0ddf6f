// The names of the events. Made by `engine docs --write`.

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

-- On which chain the archived orders trade, once a projector knew: a log of another one is refused.
ALTER TABLE checkpoints ADD COLUMN chain text;

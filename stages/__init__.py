"""What the engine does about it: a stage hears of an order, asks a venue, decides, appends."""

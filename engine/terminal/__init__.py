"""What a person at a terminal is shown, and who that is."""

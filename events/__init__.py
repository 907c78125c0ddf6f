"""What can happen, what it means, and where it is written."""

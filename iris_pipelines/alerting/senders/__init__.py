"""Ways to tell somebody: each takes one message for one recipient and says what became of it."""

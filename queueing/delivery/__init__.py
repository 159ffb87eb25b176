"""From Redis to the visitor: messages of events, places in line, a queue's state, and which visitors left.

Runs in web processes. Owns the process's subscription to events and what it remembers of its waiters."""

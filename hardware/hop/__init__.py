"""The hop from the platform to the replicas of a node that joined: one TLS address a node, for clients with
the platform's certificate alone. Replicas of the platform's own machine are reached without it."""

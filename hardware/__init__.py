"""Where Spaces run: nodes, replicas, and the runtimes that build and start them.

The agent runs in a node's Celery worker; web processes read the rows, order replicas, and send requests to
them (`replica_client`). Owns the containers, images and live logs."""

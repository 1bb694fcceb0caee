"""How an engine reaches services: in this process, or over HTTP. Nothing here knows what a message means."""

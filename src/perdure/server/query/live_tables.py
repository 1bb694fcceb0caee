"""The temporary tables that a query reads beside the store: copies of what only the engine's memory knows.

`live.py` makes their rows, in the engine's process.
"""

LIVE: dict[str, dict[str, str]] = {
    "live_attempt": {
        "number": "integer primary key",
        "in_flight": "integer",
        "retry_count": "integer",
        "last_start_at": "integer",
        "next_retry_at": "integer",
        "deployment_id": "text",
        "server": "text",
        "awaiting": "blob",
    },
    "live_deployment": {
        "id": "text",
        "ty": "text",
        "endpoint": "text",
        "created_at": "integer",
        "min_version": "integer",
        "max_version": "integer",
        "services": "text",
    },
    "live_service": {
        "name": "text",
        "revision": "integer",
        "public": "integer",
        "ty": "text",
        "deployment_id": "text",
    },
    "live_limit": {
        "scope": "text",
        "l1": "text",
        "l2": "text",
        "level": "text",
        "usage": "integer",
        "concurrency_limit": "integer",
        "rule_pattern": "text",
        "available": "integer",
        "num_waiters": "integer",
    },
}
"""By name, the columns with their types in SQLite."""

"""What a handler can do, one class a capability; the contexts list them."""

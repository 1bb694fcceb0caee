"""The service protocol, versions 5 to 7: bytes in, messages out. Pure; imports only `errors`."""

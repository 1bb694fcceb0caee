"""The refusal of a command that cannot be carried out."""


class CommandRejected(Exception):
    """The command is not journaled; its attempt fails with this code and message, and is made again by the policy."""

    def __init__(self, message: str, code: int = 500) -> None:
        super().__init__(message)
        self.code = code

"""What is said where the library of an integration is not installed, or is one that the integration does not know."""

from types import TracebackType


class needs:
    """Imports a library: `with needs("openai-agents", extra="openai"): import agents`.

    Raises:
        ImportError: it is not there, or lacks a name; the message says what to install.
    """

    def __init__(self, package: str, *, extra: str) -> None:
        self._package = package
        self._extra = extra

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, ModuleNotFoundError):
            raise ImportError(
                f"this needs {self._package}, which is not installed ({error}): pip install 'perdure[{self._extra}]'"
            ) from error
        if isinstance(error, ImportError):
            raise ImportError(
                f"this was written for another version of {self._package} ({error}): "
                f"pip install --upgrade 'perdure[{self._extra}]'"
            ) from error

"""Whether a request's body is what its handler takes: content type, presence, JSON that fits the published schema.

A handler that publishes no schema gets the bytes as they came: only its serde knows what they mean.
"""

import logging
from itertools import islice
from typing import Any

import msgspec
from jsonschema_rs import ValidationError, Validator, validator_for
from msgspec import UNSET

from perdure.engine.registry import ResolvedHandler
from perdure.errors import InvalidInput
from perdure.protocol.discovery import Payload

logger = logging.getLogger(__name__)

_FAULTS_SHOWN = 3
_FAULT_LENGTH_MAX = 300


_SCHEMAS_OF_RESULTS = "restate-sdk-typescript/"
"""An SDK that publishes for inputs what zod makes of them: fields with a default are required, others not allowed."""


class InputCheck:
    """What one handler takes, made ready to be checked often. `target` is its name in messages."""

    def __init__(self, target: str, payload: Payload | None) -> None:
        accept = "*/*" if payload is None else payload.content_type
        self._target = target
        self._accepts = _media_ranges(accept) if accept else ()
        self._required = payload is not None and payload.required is True
        takes_json = any(accepted.endswith("json") for accepted in self._accepts)
        self._schema = _validator(target, payload) if payload is not None and takes_json else None

    def check(self, content_type: str | None, body: bytes) -> None:
        """Raises `InvalidInput`, which says what to change, and where in the body."""
        if not self._accepts:
            if body:
                raise InvalidInput(f"{self._target} takes no body, but one of {len(body)} bytes came: send it empty")
        elif body:
            self._check_content_type(content_type)
            if self._schema is not None:
                self._check_schema(self._schema, body)
        elif self._required and (content_type is None or self._schema is not None):
            raise InvalidInput(f"{self._target} needs a body, but an empty one came: {self._how()}")

    def _check_content_type(self, content_type: str | None) -> None:
        if content_type is None:
            if "*/*" not in self._accepts:
                raise InvalidInput(f"the body has no content-type: {self._how()}")
            return
        essence = content_type.partition(";")[0].strip().lower()
        major = essence.partition("/")[0]
        if not any(accepted in (essence, f"{major}/*", "*/*") for accepted in self._accepts):
            raise InvalidInput(f"content-type {content_type!r} is not what {self._target} takes: {self._how()}")

    def _check_schema(self, validator: Validator, body: bytes) -> None:
        try:
            value: object = msgspec.json.decode(body)
        except msgspec.DecodeError as error:
            raise InvalidInput(f"the body of {self._target} is not JSON: {error}") from error
        except UnicodeDecodeError as error:
            raise InvalidInput(f"the body of {self._target} is not JSON: a string in it is not UTF-8") from error
        except RecursionError:
            raise InvalidInput(f"the body of {self._target} is nested too deep") from None
        if not validator.is_valid(value):
            faults = [_fault(error) for error in islice(validator.iter_errors(value), _FAULTS_SHOWN)]
            raise InvalidInput(f"the body does not fit what {self._target} takes: {'; '.join(faults)}")

    def _how(self) -> str:
        accepted = " or ".join(self._accepts)
        hint = " (with curl: `--json '...'`)" if "application/json" in self._accepts else ""
        return f"send it with `content-type: {accepted}`{hint}"


def input_check(resolved: ResolvedHandler) -> InputCheck:
    """The check of a handler's input. A schema is used only where it is of what comes in."""
    payload = resolved.manifest.input
    if payload is not None and (resolved.deployment.sdk_version or "").startswith(_SCHEMAS_OF_RESULTS):
        payload = msgspec.structs.replace(payload, json_schema=UNSET)
    return InputCheck(f"{resolved.service}/{resolved.handler}", payload)


def _media_ranges(accept: str) -> tuple[str, ...]:
    """Media types and wildcards, in the form of the header `accept`, without parameters."""
    return tuple(part.partition(";")[0].strip().lower() for part in accept.split(","))


def usable_schema(schema: object) -> bool:
    """Whether bodies can be checked against a schema that a handler publishes."""
    try:
        _validator_for(schema)
    except (ValidationError, ValueError, TypeError):
        return False
    return True


def _validator_for(schema: Any) -> Validator:
    # Offline: a schema that comes from a deployment must not make the engine fetch things.
    return validator_for(schema, mask="value", offline=True)


def _validator(target: str, payload: Payload) -> Validator | None:
    schema = payload.json_schema
    if schema is UNSET or schema is True or schema == {} or schema is None:
        return None
    try:
        return _validator_for(schema)
    except (ValidationError, ValueError, TypeError) as error:
        logger.warning(
            "A handler's input schema cannot be used: bodies are not checked against it",
            extra={"target": target, "reason": str(error).partition("\n")[0]},
        )
        return None


def _fault(error: ValidationError) -> str:
    where = "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
    return f"at {where}: {error.message}"[:_FAULT_LENGTH_MAX]

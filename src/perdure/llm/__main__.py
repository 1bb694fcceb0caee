"""`python -m perdure.llm`: the small model for programs in any language, by all the interfaces that we serve."""

import argparse
import sys
import threading

from perdure.llm.endpoint import LoopbackServer, chat_app
from perdure.llm.local import MODEL, LocalModel
from perdure.llm.weights import ModelUnavailable, fetch_weights


def main() -> None:
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(prog="python -m perdure.llm", description="Serve SmolLM2-135M on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    port = parser.parse_args().port
    try:
        model = LocalModel(fetch_weights())
    except ModelUnavailable as error:
        sys.exit(str(error))
    with LoopbackServer(chat_app(model.reply, MODEL), port) as server:
        print(f"export OPENAI_BASE_URL={server.base_url} OPENAI_API_KEY=none")  # noqa: T201
        print(f"export ANTHROPIC_BASE_URL={server.root_url} ANTHROPIC_API_KEY=none")  # noqa: T201
        print(f"export GOOGLE_GEMINI_BASE_URL={server.root_url} GOOGLE_API_KEY=none", flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)

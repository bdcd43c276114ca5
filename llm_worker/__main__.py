"""`python -m llm_worker` serves; `chat` talks in the terminal; `inspect` shows what a model is made of."""

import argparse
from functools import partial
from pathlib import Path

from llm_worker.backends import Backend
from llm_worker.config import LlmSettings
from llm_worker.servicer import LanguageModelServicer
from protos import language_model_pb2 as pb
from protos import language_model_pb2_grpc as pb_grpc
from services.server import Drain, Service, run


def build(settings: LlmSettings) -> Backend:
    """The backend that the settings choose."""
    if settings.backend == "openai":
        from llm_worker.backends.openai_server import OpenAIServer

        return OpenAIServer(settings)
    if settings.backend == "engine":
        from llm_worker.backends.folder import engine

        return engine(settings)
    from llm_worker.backends.scripted import FrontDesk

    return FrontDesk(settings.scripted_delay_seconds, settings.scripted_words_per_second)


def service(settings: LlmSettings, drain: Drain) -> Service:
    """The worker with its backend. Raises ServiceError for settings that can never work."""
    backend = build(settings)
    servicer = LanguageModelServicer(settings, backend, drain)
    return Service(
        name=pb.DESCRIPTOR.services_by_name["LanguageModel"].full_name,
        register=lambda server: pb_grpc.add_LanguageModelServicer_to_server(servicer, server),
        warm_up=backend.warm_up,
        close=backend.close,
    )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m llm_worker",
        description="The language model worker: holds conversations over gRPC.",
        epilog=LlmSettings.describe(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    chat = commands.add_parser("chat", help="talk to the backend in this terminal; without a command: serve")
    chat.add_argument("--now", default="", help="RFC 3339 time that the conversation takes place at; default: now")
    chat.add_argument("--ask-tools", action="store_true", help="type tool results yourself; default: a small calendar")
    look = commands.add_parser("inspect", help="tensors and totals of a model, without loading it")
    look.add_argument("path", nargs="?", type=Path, help="checkpoint, or the folder that holds it")
    look.add_argument("--config", help="instead: a params.json, or a shipped one (119b, frontdesk, nano)")
    arguments = parser.parse_args()
    match arguments.command:
        case "inspect":
            from llm_worker.inspection import show  # needs torch, which serving a script does not

            show(arguments.path, arguments.config)
        case "chat":
            from llm_worker.chat import run_chat

            run_chat(LlmSettings.read_or_exit(), build, arguments.now, arguments.ask_tools)
        case _:
            settings = LlmSettings.read_or_exit()
            run(settings, partial(service, settings))


if __name__ == "__main__":
    main()

"""`textgen serve`: models behind HTTP."""

import os
import re
import sys
from pathlib import Path

import click

from textgen.cli.options import engine_option, models_dir_option
from textgen.streams import tell


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address at which the server listens.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Its port; 0 is any.")
@click.option("--api-key", help="Key that requests have to carry.  [default: $TEXTGEN_API_KEY or none]")
@click.option(
    "--max-tokens",
    default=4096,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="Most tokens of a text that a request asks for.",
)
@click.option(
    "--max-rows",
    default=128,
    show_default=True,
    type=click.IntRange(1, 1024),
    help="Most texts of a model that are written side by side.",
)
@click.option(
    "--queue",
    default=256,
    show_default=True,
    type=click.IntRange(0, 100_000),
    help="Most texts of a model that wait for a row; more are refused with status 429.",
)
@engine_option
@click.option("--json-logs", is_flag=True, help="Write the log as lines of JSON.")
@click.option("--log-text", is_flag=True, help="Write prompts and texts into the log, too.")
@click.option("--dry-run", is_flag=True, help="Load the models and listen, and stop without a request.")
@models_dir_option
def serve(
    models: tuple[str, ...],
    host: str,
    port: int,
    api_key: str | None,
    max_tokens: int,
    max_rows: int,
    queue: int,
    engine: str,
    json_logs: bool,
    log_text: bool,
    dry_run: bool,
    models_dir: Path,
) -> None:
    """Serve MODELs over HTTP, as OpenAI's completions interface.

    At the address itself, without /v1, a browser finds a page to write on.

    Without a MODEL, all models are served that `textgen models` lists. Each is loaded when it is first asked for.
    The log has a line for each request on standard error, without its text. Ctrl-C finishes what is being written, for
    ten seconds at most.
    """
    from textgen.errors import SettingError, TextgenError
    from textgen.serving.app import App, is_loopback
    from textgen.serving.log import Log
    from textgen.serving.server import listen, run, what_is_missing
    from textgen.serving.shelf import Limits, Shelf, paths_of
    from textgen.store.model_directory import load_model

    key = api_key or os.environ.get("TEXTGEN_API_KEY") or None
    if key is not None and re.fullmatch("[!-~]+", key) is None:  # no client could send it
        raise SettingError("the API key must be of ASCII letters, digits and signs, without spaces")
    paths = paths_of(models, models_dir)
    listening = listen(host, port)
    address, bound = listening.getsockname()[:2]
    log = Log(tell, is_json=json_logs)
    if not is_loopback(address) and key is None:
        log.say(f"WARNING: anybody who reaches {host} can use this server. Give a key with --api-key")
    if dry_run:
        for path in paths.values():
            load_model(path.name, path.parent)
        listening.close()
        tell(f"textgen: {', '.join(paths)} could be served at {address} port {bound}. {what_is_missing()}".strip(". "))
        return
    if problem := what_is_missing():
        raise TextgenError(problem)
    shelf = Shelf(paths, Limits(max_tokens, max_rows, queue), engine)
    app = App(shelf, api_key=key, is_loopback=is_loopback(address), log=log, log_text=log_text)
    where = f"[{address}]" if ":" in address else address
    site = f"http://{where}:{bound}"
    log.say(f"serving {', '.join(paths)} at {site}/v1, with a page to write on at {site}; Ctrl-C stops")
    status = 0  # where the shell that started it lets it ignore Ctrl-C, which uvicorn then takes as any other end
    try:
        run(app, listening)
    except KeyboardInterrupt:
        status = 130
    log.say("stopped")
    sys.exit(status)

"""``cgc``: finds commands by file name, and turns every outcome into text and exit status.

Exit status: 0 ok, 1 findings, 2 usage, 3 a bug of cgc.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence

import click

import cgc
import cgc.cli

_SHARED = {"main", "shared"}


class _Commands(click.Group):
    """Commands are the modules beside this one; a module is imported when its command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(m.name.rstrip("_") for m in pkgutil.iter_modules(cgc.cli.__path__) if m.name not in _SHARED)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"cgc.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.list_commands(ctx) and not name.startswith("-"):
            from cgc.source.suggest import nearest

            close = nearest(name, self.list_commands(ctx))
            ctx.fail(f"No command `{name}`." + (f" Did you mean `{close}`?" if close else ""))
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(cgc.__version__, message="cgc %(version)s")
def cli() -> None:
    """A symbolic compiler from chain graphs to neural networks."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        # formulas are not ASCII, whatever the locale
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    from cgc.source.diagnostics import SpecError

    try:
        status = cli.main(args=arguments, standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SpecError as error:
        from cgc.cli.shared import show

        show(error.diagnostics)
        sys.exit(1)
    except BrokenPipeError:
        # a reader such as `head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        click.echo(f"error: {error.strerror}: {error.filename}" if error.filename else f"error: {error}", err=True)
        sys.exit(1)
    except Exception as error:
        _report_bug(error)
        sys.exit(3)
    sys.exit(status if isinstance(status, int) else 0)


def _report_bug(error: Exception) -> None:
    """An internal error is never the user's: say so, and give what a report needs."""
    import traceback

    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(frame.filename)}:{frame.lineno}"
    click.echo(f"cgc {cgc.__version__}: this is a bug of cgc, not of your spec ({type(error).__name__} at {where})", err=True)
    click.echo(f"  {error}", err=True)
    click.echo("  please report it with the spec; CGC_TRACEBACK=1 prints the whole traceback", err=True)
    if os.environ.get("CGC_TRACEBACK"):
        traceback.print_exception(error)


if __name__ == "__main__":
    main()

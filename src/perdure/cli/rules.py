"""`perdure rules`: how many run at once, how often one begins, how many wait."""

import sys
from typing import Annotated, Any

import typer

from perdure.cli.consent import agree
from perdure.cli.options import AsJson, Yes, given
from perdure.cli.remote import ADMIN
from perdure.cli.tables import print_json, print_table
from perdure.errors import UsageError
from perdure.server.durations import parse_duration_ms
from perdure.times import duration_text

app = typer.Typer(no_args_is_help=True, help="Limit what runs: concurrency, rates and backlogs.")


@app.command("list")
def list_rules(as_json: AsJson = False) -> None:
    """List the rules."""
    rules = ADMIN.ask_json("GET", "/limits/rules")["rules"]
    if as_json:
        print_json(rules)
    elif not rules:
        print("no rules yet: `perdure rules set service:Name --concurrency 10` makes one")
    else:
        rows = [
            (
                rule["pattern"],
                "disabled" if rule["disabled"] else _limits(rule["limits"]),
                rule["version"],
                rule["description"],
            )
            for rule in rules
        ]
        print_table(("PATTERN", "LIMITS", "VERSION", "DESCRIPTION"), rows)


@app.command("set")
def set_rule(
    pattern: Annotated[
        str,
        typer.Argument(
            help="A scope, scope/key, service:Name, handler:Service/name or deployment:ID; `*` for any name."
        ),
    ],
    concurrency: Annotated[int | None, typer.Option(help="So many run at once; 0 holds all back.")] = None,
    rate: Annotated[str | None, typer.Option(help="So many begin in a time, such as 100/1m or 5/s.")] = None,
    burst: Annotated[int | None, typer.Option(help="Of the rate: so many at once after a pause.")] = None,
    backlog: Annotated[int | None, typer.Option(help="So many wait before more from outside get 429.")] = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="Take away the limits that it has.")] = False,
    description: Annotated[str | None, typer.Option(help="For those who read the list.")] = None,
    disabled: Annotated[
        bool | None, typer.Option("--disabled/--enabled", help="Keep it, and limit nothing by it; or limit again.")
    ] = None,
    version: Annotated[int | None, typer.Option(help="Refuse if the rule has another version by now.")] = None,
) -> None:
    """Make a rule, or change what is said of the one with this pattern; the rest stays. It holds at once."""
    rules: list[dict[str, Any]] = ADMIN.ask_json("GET", "/limits/rules")["rules"]
    found = [rule for rule in rules if rule["pattern"] == pattern]
    wanted: dict[str, Any] = {"pattern": pattern, "limits": {}, "precondition": {"type": "does_not_exist"}}
    for rule in found:
        wanted |= {name: rule[name] for name in ("limits", "description", "disabled")}
        wanted["precondition"] = {"type": "matches", "version": rule["version"]}
    if version is not None:
        wanted["precondition"] = {"type": "matches", "version": version}
    limits: dict[str, Any] = {} if unlimited else wanted["limits"]
    limits |= given(concurrency=concurrency, backlog=backlog)
    if rate is not None:
        limits["rate"] = limits.get("rate", {}) | _rate(rate)
    if burst is not None:
        if "rate" not in limits:
            raise UsageError("--burst says how a --rate begins: give both")
        limits["rate"] |= {"burst": burst}
    wanted |= given(limits=limits, description=description, disabled=disabled)
    [made] = ADMIN.ask_json("PUT", "/limits/rules", [wanted])
    print(f"{pattern}: {'disabled' if made['disabled'] else _limits(made['limits'])} (version {made['version']})")
    if "note" in made:
        print(f"perdure: {made['note']}", file=sys.stderr)


@app.command()
def delete(
    patterns: Annotated[list[str], typer.Argument(metavar="PATTERN...", help="As `perdure rules list` shows them.")],
    yes: Yes = False,
) -> None:
    """Delete rules. What waited for them begins as others allow."""

    def show() -> None:
        for rule in ADMIN.ask_json("GET", "/limits/rules")["rules"]:
            if rule["pattern"] in patterns:
                print(f"{rule['pattern']}: {_limits(rule['limits'])}")

    agree(f"delete {', '.join(patterns)}?", yes=yes, show=show)
    deleted = ADMIN.ask_json("POST", "/limits/rules/bulk-delete", [{"pattern": pattern} for pattern in patterns])
    unknown = [pattern for pattern in patterns if pattern not in deleted]
    for pattern in deleted:
        print(f"deleted {pattern}")
    if unknown:
        raise UsageError(f"no rule {', '.join(unknown)}: `perdure rules list` shows what there is")


def _rate(text: str) -> dict[str, Any]:
    permits, slash, per = text.partition("/")
    if not (slash and permits.isascii() and permits.isdigit()):
        raise UsageError(f"--rate {text}: expected so many in a time, such as 100/1m or 5/s")
    return {"permits": int(permits), "per_ms": parse_duration_ms(per if per[:1].isdigit() else f"1{per}")}


def _limits(limits: dict[str, Any]) -> str:
    said = [f"{name} {limits[name]}" for name in ("concurrency", "backlog") if limits.get(name) is not None]
    rate = limits.get("rate")
    if rate:
        burst = f", {rate['burst']} at once" if rate.get("burst") is not None else ""
        said.insert(0, f"rate {rate['permits']}/{_period(rate['per_ms'])}{burst}")
    return ", ".join(said) or "unlimited"


def _period(per_ms: int) -> str:
    """As `--rate` takes it: `m` for `1m`."""
    text = duration_text(per_ms)
    return text[1:] if text[:1] == "1" and text[1:].isalpha() else text

"""The commands for a lab that stays, once `up` has made it. What they do is loaded when they are asked for."""

from __future__ import annotations

import click

_USUAL_NAME = "lab"
VALUES = ("json", "yaml")
"""Forms of output for programs (`tables.show`)."""

lab_name_option = click.option(
    "--name", default=_USUAL_NAME, show_default=True, help="Which lab, where there are several."
)
output_option = click.option("-o", "--output", type=click.Choice(["text", *VALUES]), default="text", help="For whom.")
form_option = click.option("-o", "--output", type=click.Choice(["table", *VALUES]), default="table", help="For whom.")


@click.command()
@lab_name_option
def down(name: str) -> int:
    """End a lab; nothing of it is left."""
    from lab_py import state

    state.end(*state.find(name))
    click.echo(f"{name} is down")
    return 0


@click.command()
@lab_name_option
@output_option
def status(name: str, output: str) -> int:
    """Tell what a lab is, and how its processes fare; 1 if one has ended."""
    from lab_py import command_status

    return command_status.show(name, output)


@click.command("exec", context_settings={"ignore_unknown_options": True})
@lab_name_option
@click.argument("pod")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(name: str, pod: str, command: tuple[str, ...]) -> int:
    """Run a command in a pod, a node, or a ztunnel pod (zt-NODE); its exit status."""
    from lab_py import command_exec

    return command_exec.execute(name, pod, command)


@click.command()
@lab_name_option
@click.argument("pod")
def enroll(name: str, pod: str) -> int:
    """Make a plain pod ambient, with no restart: open connections stay, new ones are captured (--design in-pod)."""
    from lab_py import command_enroll

    return command_enroll.run("enroll", name, pod)


@click.command()
@lab_name_option
@click.argument("pod")
def unenroll(name: str, pod: str) -> int:
    """Make an ambient pod plain; what ztunnel carries for it ends (--design in-pod)."""
    from lab_py import command_enroll

    return command_enroll.run("unenroll", name, pod)


@click.command("break")
@lab_name_option
@click.argument("faults", nargs=-1, metavar="[NAME]...")
@click.option("--list", "is_list", is_flag=True, help="What can be broken, what one will see, what is broken now.")
@form_option
def break_(name: str, faults: tuple[str, ...], is_list: bool, output: str) -> int:
    """Take a piece of a lab away while it runs: a tunnel, a rule, a certificate ...; --list has them all.

    \b
    Examples:
      python -m lab_py break --list
      python -m lab_py break tunnel                 a row of the list
      python -m lab_py break node-a/F2 httpbin/B2   any rule or route, by its namespace and name
      python -m lab_py mend                         all of it is back; mend NAME, that alone
    """
    from lab_py import command_break

    if is_list or not faults:
        return command_break.list_faults(name, output)
    return command_break.take_away(name, faults)


@click.command()
@lab_name_option
@click.argument("faults", nargs=-1, metavar="[NAME]...")
def mend(name: str, faults: tuple[str, ...]) -> int:
    """Put back what `break` has taken away; without names, all of it."""
    from lab_py import command_break

    return command_break.put_back(name, faults)


@click.command()
@lab_name_option
@click.argument("source", required=False, metavar="[POD")
@click.argument("service", required=False, metavar="SERVICE]")
@form_option
def explain(name: str, source: str | None, service: str | None, output: str) -> int:
    """Send a request through a lab, and say which hop is broken, why, by what evidence, what to do; 1 if one is.

    It does not know what `break` has taken away: captures, counters, logs, ICMP and the state of things tell it.

    \b
    Examples:
      python -m lab_py explain                      the request of the lab's scenario
      python -m lab_py explain ambient-a sidecar-b  another one
      python -m lab_py explain -o json
    """
    from lab_py import command_explain

    return command_explain.run(name, source, service, output)


@click.command()
@lab_name_option
@click.argument("processes", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
def logs(name: str, processes: tuple[str, ...], follow: bool) -> int:
    """Show what the processes have written; all of them, or some by name."""
    from lab_py import command_logs

    return command_logs.show(name, processes, follow=follow)


STANDING = (down, status, execute, enroll, unenroll, break_, mend, explain, logs)
"""All of them."""

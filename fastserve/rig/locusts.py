"""Load from several processes or machines, by Locust: a locustfile of a scenario, and the command `locust`.

A generated file is one that a person may go on with: it imports Locust and nothing of fastserve. Knows
scenarios and Locust's names, and no process; locust_results reads what Locust has written. rig/cli.py calls
add_parser().
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from fastserve.words import Refusal

if TYPE_CHECKING:
    from fastserve.rig.measure.scenario import Contestant, Plan, Request, Scenario

PROG: Final = "python -m fastserve.rig locust"
NAME: Final = "locustfile.py"
DENOMINATOR: Final = 1000  # weights are whole numbers to Locust: ours are rounded to so many parts
LONGEST_NAME: Final = 60  # letters of a task's name

# -- The locustfile ------------------------------------------------------------------------------

FILE: Final = '''\
"""{title}

{says}
Made by {made}

On one machine, with a worker for each core:

    locust -f {name} --processes -1 {usual}

On several, the first line on one and the second on each of the others, where ADDRESS is the first one's:

    locust -f {name} --master --expect-workers 2 {usual}
    locust -f - --worker --master-host ADDRESS
"""

{imports}


def short(milliseconds):
    """Three digits of a response time. Locust's own function makes whole milliseconds of it."""
    return float(f"{{milliseconds:.3g}}")


locust.stats.bucket_response_time = short

HEADERS = {headers}  # where a request has no others
{functions}
{last_figures}

class Visitor(FastHttpUser):
    """Sends its next request when it has the answer, and after wait_time at the earliest."""

{host}
{wait}
    connection_timeout = network_timeout = {timeout:g}

    def ask(self, method, path, headers=HEADERS, body=None, status=200, octets=None{digest}, name=None):
        """Send a request. Its answer is a failure unless it has that status, and a body of so many octets."""
        with self.client.request(method, path, name=name, headers=dict(headers), data=body,
                                 allow_redirects=False, catch_response=True) as answer:
            broken = answer.request_meta["exception"]
            found = answer.request_meta["response_length"]
            if answer.status_code not in (0, status):
                answer.failure(f"status {{answer.status_code}}, not {{status}}")
            elif broken and answer.status_code < 400:
                answer.failure(broken)  # no answer, or none that came to its end
            elif octets is not None and found != octets and method != "HEAD":
                answer.failure(f"body of {{found}} octets, not {{octets}}")
{check}            else:
                answer.success()
{tasks}'''

# Locust's master waits half a second for the last report of its workers, which are waiting for their users.
LAST_FIGURES: Final = '''
REPORTED = set()  # workers that have sent their last figures


@events.init.add_listener
def know_messages(environment, runner, **_):
    """Let the end of a run wait for what each worker has counted at last; Locust hardly waits for that."""
    if isinstance(runner, WorkerRunner):
        runner.register_message("report all", report_all, concurrent=True)
    elif isinstance(runner, MasterRunner):
        runner.register_message("all reported", lambda environment, msg, **_: REPORTED.add(msg.node_id))


def report_all(environment, msg, **_):
    environment.runner.stop()
    gevent.sleep(WORKER_REPORT_INTERVAL + 0.5)  # meanwhile a report is sent
    environment.runner.send_message("all reported")


@events.test_stopping.add_listener
def await_reports(environment, **_):
    if isinstance(environment.runner, MasterRunner):
        REPORTED.clear()
        environment.runner.send_message("report all")
        with gevent.Timeout((environment.stop_timeout or 0) + 30, False):
            while not REPORTED.issuperset(worker.id for worker in environment.runner.clients.all):
                gevent.sleep(0.1)
'''

DIGEST: Final = '''\
            elif sha256 is not None and hashlib.sha256(answer.content or b"").hexdigest() != sha256:
                answer.failure("body of another SHA-256")
'''

ANY_FILE: Final = {
    "even": '''

def any_file(count):
    """The name of one of so many files, each as likely as the others."""
    number = random.randrange(count)
    return f"{number // 100:02}/{number % 100:02}.txt"
''',
    "zipf": '''

SHARES = {}


def some_file(count):
    """The name of one of so many files; that of rank n is asked for 1/n as often as the first."""
    if count not in SHARES:
        SHARES[count] = list(itertools.accumulate(1 / rank for rank in range(1, count + 1)))
    number = random.choices(range(count), cum_weights=SHARES[count])[0]
    return f"{number // 100:02}/{number % 100:02}.txt"
''',
}

TASK: Final = '''
    @task{weight}
    def {name}(self):
        self.ask({arguments})
'''


def locustfile(plan: Plan, made: str = PROG) -> str:
    """Return the text of a locustfile for a plan's only scenario and its first contestant.

    ``made`` is the command line that asks for it. Raises Refusal for what Locust has not.
    """
    scenario, contestant = only_scenario(plan), plan.contestants[0]
    if scenario.kind == "ramp":
        raise Refusal(f"scenario {scenario.name!r} is a ramp, and Locust's users have no rate that rises; "
                      "choose another one by --scenario NAME")
    requests = requests_of(scenario, contestant)
    unknown = [*scenario.shape(), *("expect.matches" for each in requests if each.expect.matches is not None)]
    if unknown:
        raise Refusal(f"scenario {scenario.name!r} has {unknown[0]}, which is not for Locust; "
                      "choose another one by --scenario NAME")
    wait, needed = wait_of(scenario)
    spreads: set[str] = {each.spread for each in requests if each.files is not None}
    digests = any(each.expect.sha256 for each in requests)
    return FILE.format(
        title=escaped(scenario.title or f"Scenario {scenario.name} for {contestant.name}."), name=NAME,
        says=escaped(says(scenario)), made=escaped(made), usual=usual(scenario),
        imports=imports(needed, spreads, digests),
        functions="".join(ANY_FILE[spread] for spread in sorted(spreads)), last_figures=LAST_FIGURES,
        host=host_of(contestant), wait=wait, timeout=scenario.timeout,
        headers=shown(usual_headers(scenario)), digest=", sha256=None" if digests else "",
        check=DIGEST if digests else "",
        tasks="".join(tasks(requests, usual_headers(scenario))))


def only_scenario(plan: Plan) -> Scenario:
    """Return the scenario of a plan. Raises Refusal where it has several."""
    if len(plan.scenarios) > 1:
        names = ", ".join(each.name for each in plan.scenarios)
        raise Refusal(f"there are several scenarios; choose one of {names} by --scenario NAME")
    return plan.scenarios[0]


def requests_of(scenario: Scenario, contestant: Contestant) -> list[Request]:
    """Return what is asked, each with all of its fields and all that is expected of its answer."""
    from fastserve.rig.measure.scenario import Request

    asked = scenario.requests or [
        Request(contestant.target(scenario), method=scenario.method, body=scenario.body)]
    expected, shared = contestant.expect.over(scenario.expect), usual_headers(scenario)
    return [replace(each, expect=each.expect.over(expected), headers={**shared, **each.headers})
            for each in asked]


def usual_headers(scenario: Scenario) -> dict[str, str]:
    """Those of every request: octets are counted as they come, so nothing is to be compressed unasked."""
    closing = {"Connection": "close"} if scenario.kind == "churn" else {}
    return {"Accept-Encoding": "identity", **closing, **scenario.headers}


def says(scenario: Scenario) -> str:
    """Say in a line what the load is, where the number of users counts."""
    users = f"{scenario.connections} users"
    if scenario.rate is not None:
        return (f"{scenario.rate:g} requests a second by {users}, if the server keeps pace.\n"
                "With another number of them it is another rate.")
    if scenario.kind == "think":
        return f"{users}, each of whom waits {scenario.think:g} s behind an answer."
    return f"{users}, who send their next request as soon as they have the answer."


def usual(scenario: Scenario) -> str:
    """The options of a run. Requests under way at its end are waited for: the server has counted them."""
    users, seconds = scenario.connections, math.ceil(scenario.seconds)
    return (f"--headless -u {users} -r {users} -t {seconds}s -s {math.ceil(scenario.timeout)} "
            "--json-file stats --csv stats")


def host_of(contestant: Contestant) -> str:
    """The line with the server; of one that has not been started nobody knows the port."""
    if contestant.url is not None:
        from fastserve.rig.measure.asking import address_of

        return f"    host = {quoted(address_of(contestant.url).url(''))}"
    if isinstance(contestant.port, int):
        return f"    host = {quoted(f'http://{contestant.host}:{contestant.port}')}"
    return "    host = None  # say it by -H http://ADDRESS:PORT"


def wait_of(scenario: Scenario) -> tuple[str, str]:
    """The lines that make users wait, and the name that they need of Locust, '' for none."""
    pause = scenario.think
    if scenario.rate is not None:
        own = scenario.rate / scenario.connections
        if scenario.arrivals == "uniform":
            line = f"    wait_time = constant_throughput({own:.6g})  # requests a second"
            return line, "constant_throughput"
        pause = 1 / own
    if pause and (scenario.arrivals == "poisson" or scenario.thinking == "exponential"):
        line = f"        return random.expovariate(1 / {pause:.6g})  # seconds"
        return f"    def wait_time(self):\n{line}", ""
    return f"    wait_time = constant({pause:g})  # seconds", "constant"


def imports(needed: str, spreads: set[str], digests: bool) -> str:
    """The lines that import what is used; random is a part of most."""
    uses = {"hashlib": digests, "itertools": "zipf" in spreads, "random": bool(spreads) or not needed}
    plain = [f"import {name}\n" for name, is_used in uses.items() if is_used]
    names = ", ".join(sorted({"FastHttpUser", "events", "task", needed} - {""}))
    return "".join([
        *plain, "\n" if plain else "", "import gevent\n", "import locust.stats\n",
        f"from locust import {names}\n",
        "from locust.runners import WORKER_REPORT_INTERVAL, MasterRunner, WorkerRunner"])


def tasks(requests: list[Request], shared: dict[str, str]) -> Iterator[str]:
    """A method for each request; ``shared`` is what ask() has for its fields."""
    weights = whole([each.weight for each in requests])
    taken: set[str] = {"ask"}
    for request, weight in zip(requests, weights, strict=True):
        yield TASK.format(weight=f"({weight})" if weight != 1 else "", name=task_name(request, taken),
                          arguments=arguments_of(request, shared))


def whole(weights: list[float]) -> list[int]:
    """Return whole numbers, each at least 1, that are to each other as these."""
    parts = [max(Fraction(each).limit_denominator(DENOMINATOR), Fraction(1, DENOMINATOR)) for each in weights]
    scaled = [int(each * math.lcm(*(each.denominator for each in parts))) for each in parts]
    return [each // math.gcd(*scaled) for each in scaled]


def task_name(request: Request, taken: set[str]) -> str:
    """A name that no other task has."""
    plain = re.sub(r"\W+", "_", f"{request.method} {request.path}".lower(), flags=re.ASCII).strip("_")
    plain = plain[:LONGEST_NAME].rstrip("_")
    name, number = plain, 1
    while name in taken:
        number += 1
        name = f"{plain}_{number}"
    taken.add(name)
    return name


def arguments_of(request: Request, shared: dict[str, str]) -> str:
    """What stands in the call of ask()."""
    expected = request.expect
    found = [quoted(request.method), quoted(request.path)]
    if request.files is not None:
        pick = f"{'any_file' if request.spread == 'even' else 'some_file'}({request.files})"
        found[1:] = [f'{found[1]}.replace("{{file}}", {pick})', f"name={found[1]}"]
    said = {
        "headers": shown(request.headers) if request.headers != shared else None,
        "body": repr(request.body.encode()) if request.body else None,
        "status": expected.status if expected.status not in (None, 200) else None,
        "octets": expected.octets,
        "sha256": quoted(expected.sha256.lower()) if expected.sha256 else None,
    }
    found += [f"{name}={value}" for name, value in said.items() if value is not None]
    line = ", ".join(found)
    return line if len(line) < 90 else "\n            " + ",\n            ".join(found)


def quoted(text: str) -> str:
    """A text as Python's source has it, in double quotes."""
    return json.dumps(text)


def shown(table: dict[str, str]) -> str:
    return json.dumps(table)


def escaped(text: str) -> str:
    """A text that may stand between three quotes."""
    return text.replace("\\", "\\\\").replace('"""', "'''").strip()


# -- The command line ----------------------------------------------------------------------------


def add_parser(subparsers: Any) -> None:
    """Add `locust` to an argument parser's subparsers."""
    parser = subparsers.add_parser(
        "locust", help="measure by Locust", usage="%(prog)s [options] [SCENARIO]",
        description="Write a locustfile of a scenario, or make a result of what Locust has measured by it.")
    add = parser.add_argument
    add("file", metavar="SCENARIO", nargs="?",
        help="a scenario file, as measure has it, or the URL of a server that runs")
    add("--scenario", metavar="NAME", help="the one of the file (default: the only one)")
    add("--contestant", metavar="NAME", help="the server of the file (default: the first one)")
    add("--url", metavar="URL", help="where the server listens, if the file does not say it")
    collecting = parser.add_argument_group("results")
    add = collecting.add_argument
    add("--collect", metavar="FILE",
        help="make a result of this file, which locust has written with --json-file NAME (NAME.json) or, "
        "with less in it, --csv NAME (NAME_stats.csv)")
    add("--failures", metavar="CSV", help="NAME_failures.csv, which says what went wrong")
    add("--history", metavar="CSV", help="NAME_stats_history.csv, which says how many users there were")
    add("--users", metavar="N", type=positive, help="how many users there were, where there is no history")
    add("--workers", metavar="N", type=positive, help="how many workers there were")
    add("--json", metavar="FILE", help="write the result to this file (default: standard output)")
    parser.set_defaults(run=run)


def positive(text: str) -> int:
    if text.isascii() and text.isdecimal() and 0 < int(text) < 1_000_000:
        return int(text)
    raise Refusal(f"{text!r} is not a number from 1 up")


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; return the exit status. Raises Refusal."""
    plan = plan_of(options)
    if options.collect is not None:
        from fastserve.rig import locust_results
        from fastserve.rig.measure import result

        if plan is not None:
            only_scenario(plan)
        found = locust_results.collect(options, plan, [*PROG.split(), *said(options)])
        result.save(found, options.json or "-")
        return 0
    if plan is None:
        raise Refusal(f"say which scenario file, or the URL of which server (see {PROG} --help)")
    for name in ("failures", "history", "users", "workers", "json"):
        if getattr(options, name) is not None:
            raise Refusal(f"--{name} is about results: it needs --collect FILE")
    sys.stdout.write(locustfile(plan, shlex.join([*PROG.split(), *said(options)])))
    return 0


def said(options: argparse.Namespace) -> list[str]:
    """The words of the command line that options come from."""
    options_said = {name: value for name, value in vars(options).items() if value is not None}
    found = [options_said.pop("file")] if "file" in options_said else []
    del options_said["run"]
    return found + [word for name, value in options_said.items() for word in (f"--{name}", str(value))]


def plan_of(options: argparse.Namespace) -> Plan | None:
    """Return the part of the scenario file that is meant. Raises Refusal."""
    from fastserve.rig.measure import scenario

    if options.file is None:
        return None
    is_url = options.file.startswith(("http://", "https://"))
    plan = scenario.of_addresses([options.file]) if is_url else scenario.load(options.file)
    plan = plan.chosen(options.scenario and [options.scenario], options.contestant and [options.contestant])
    if options.url is None:
        return plan
    contestants = (replace(each, url=options.url, command=()) for each in plan.contestants)
    plan = replace(plan, contestants=tuple(contestants))
    plan.check()
    return plan

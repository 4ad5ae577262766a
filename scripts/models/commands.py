"""``slipway train``, ``package``, ``serve``, ``models``: from data to a package."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from contracts.errors import SlipwayError
from contracts.package import LOCK_FILE, PackageManifest
from contracts.variables import ALLOW_CODE, MANIFEST_SHA256
from scripts.console import (
    JsonOption,
    OptionError,
    StackOption,
    print_json,
    progress,
    project_root,
    stderr,
    stdout,
)
from scripts.models.aws_code import code_for_aws
from scripts.models.bento import bento_of
from scripts.models.scratch import scratch_folder

DIST = Path("dist")
MAX_PORT = 65535
METRICS_SHOWN = 3
# The child that converts a model and proves it.
PROVER = (sys.executable, "-P", "-m", "scripts.proving")


class CodeRefusedError(SlipwayError):
    """A package would run code that nobody allowed."""


def months(text: str) -> tuple[int, ...]:
    """``1-4`` or ``1,2,5`` as months."""
    found: list[int] = []
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            found.extend(range(int(first), int(last) + 1) if dash else [int(first)])
    except ValueError:
        found = []
    if not found or not set(found) <= set(range(1, 13)):
        raise OptionError(f"--train-months is {text!r}; months from 1 to 12 like 1-4 or 1,2,5")
    return tuple(found)


def train(  # noqa: PLR0913, PLR0917 the options of a command
    model: Annotated[
        str, typer.Option(help="The name in the registry.", metavar="NAME")
    ] = "flight-delay",
    estimator: Annotated[
        str, typer.Option(help="logreg, hgb or forest.", metavar="KIND")
    ] = "logreg",
    train_months: Annotated[
        str, typer.Option(help="Months of 2013 to train on.", metavar="MONTHS")
    ] = "1-4",
    evaluate_month: Annotated[
        int, typer.Option(help="A later month to judge it on.", metavar="MONTH")
    ] = 5,
    sample: Annotated[
        int, typer.Option(help="Most rows to train on; 0 for all.", metavar="ROWS")
    ] = 20_000,
    airports: Annotated[
        str, typer.Option(help="Flights from these only.", metavar="CODES")
    ] = "EWR,JFK,LGA",
    strict_categories: Annotated[
        bool, typer.Option(help="Refuse carriers and airports that training never saw.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.", metavar="N")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Fit a model on real flights and register it as challenger.

    It is evaluated on a month after those that it was trained on.
    """
    from model_code import registry
    from model_code.train import TrainingOptions
    from model_code.train import train as run

    options = TrainingOptions(
        model=model,
        estimator=estimator,
        train_months=months(train_months),
        evaluate_month=evaluate_month,
        sample=sample or None,
        airports=tuple(airports.split(",")),
        strict_categories=strict_categories,
        seed=seed,
    )
    with progress(f"training {model}"):
        result = run(options, registry.tracking_uri(project_root()))
    if as_json:
        print_json(asdict(result))
        return
    stdout.print(
        f"{result.model}/{result.version} (challenger): {result.rows:,} flights, "
        f"AUC {result.metrics['auc']:.3f}, log loss {result.metrics['log_loss']:.3f} on month "
        f"{evaluate_month}, {result.seconds:.1f} s"
    )
    stdout.print(f"next: slipway package {result.model}/{result.version}")


def package(
    reference: Annotated[str, typer.Argument(metavar="MODEL/VERSION|MODEL@ALIAS")],
    output_dir: Annotated[
        Path | None,
        typer.Option(help="Where packages go; default: the project's dist/.", metavar="DIR"),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            help="predict, predict_proba or both; default: as the model was logged.", metavar="KIND"
        ),
    ] = None,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Load a pickle here, in order to convert it.")
    ] = False,
    bento: Annotated[
        bool, typer.Option("--bento", help="Make a Bento of it too, for `bentoml serve`.")
    ] = False,
    bento_home: Annotated[
        Path | None,
        typer.Option(help="BENTOML_HOME of the Bento; default: .slipway/bentoml.", metavar="DIR"),
    ] = None,
    aws_code: Annotated[
        bool,
        typer.Option("--aws-code", help="Carry code for AWS's own serving containers, too."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the package of a registered model version.

    The same version gives the same bytes, whenever and wherever it is packaged.
    """
    from model_code import locking, registry
    from model_code.package import Converting
    from model_code.package import package as run

    dist = _dist() if output_dir is None else output_dir
    converting = Converting(PROVER, allow_code)
    lock = partial(locking.lock, allows_code=allow_code)
    with (
        progress(f"packaging {reference}: conversion, proof, archive"),
        code_for_aws(wanted=aws_code) as beside,
    ):
        uri = registry.tracking_uri(project_root())
        made = run(uri, reference, dist, output, converting, lock, beside)
    if made.unlocked:
        stderr.print(
            f"warning: {LOCK_FILE} is missing ({made.unlocked}); without it no image and no "
            f"environment of this model can be built: run `slipway package {reference}` again "
            "where the package index can be reached",
            markup=False,
            soft_wrap=True,
        )
    built = bento_of(made.folder, bento, bento_home)
    if as_json:
        extra = {} if built is None else {"bento": asdict(built)}
        print_json({"folder": str(made.folder), **asdict(made.manifest), **extra})
        return
    size = f"{max(1, round(made.manifest.size / 1e3)):,} kB"
    stdout.print(f"{made.folder}  sha256 {made.manifest.sha256[:12]}…, {size}", markup=False)
    stdout.print(_served(made.manifest), markup=False)
    if made.manifest.runs_code:
        stdout.print(
            f"it runs what it brings: {', '.join(made.manifest.runs_code)}; a stack serves it "
            f"where its `environment` has {ALLOW_CODE}: '{made.manifest.index_sha256}'",
            markup=False,
            soft_wrap=True,
        )
    if built is not None:
        line = f"next: BENTOML_HOME={built.home} bentoml serve {built.tag}"
        stdout.print(line, markup=False, soft_wrap=True)


def _served(manifest: PackageManifest) -> str:
    """What will answer, and why: one line under a package."""
    conversion = manifest.conversion
    if conversion is None or not conversion.engine:
        reason = "" if conversion is None else f": {conversion.reason}"
        return f"served by {manifest.engine}, not converted{reason}"
    share = conversion.worst["share_of_tolerance_at_most"]
    return (
        f"served by {conversion.engine}: {conversion.rows:,} rows answered as by the model; the "
        f"worst differs by {100 * share:.2g} % of what is tolerated"
    )


def serve(
    what: Annotated[str, typer.Argument(metavar="DIST_DIR|MODEL/VERSION")],
    port: Annotated[
        int, typer.Option(help="0 takes a free one.", min=0, max=MAX_PORT, metavar="PORT")
    ] = 8080,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Run the code and pickles that the package brings.")
    ] = False,
) -> None:
    """Run the model server alone on 127.0.0.1, and show a page.

    The page is at `/`; Ctrl-C ends the server.
    """
    from contracts.package import ARCHIVE_FILE, load_package
    from inference.unpacking import unpack

    folder = Path(what) if Path(what).exists() else _dist() / what
    manifest = load_package(folder)
    native = _native_variables(folder, manifest, allow_code)
    with scratch_folder("slipway-serve-") as unpacked:
        unpack(folder / ARCHIVE_FILE, unpacked)
        command = [sys.executable, "-m", "inference", "serve", "--port", str(port)]
        environment = {
            **os.environ,
            **native,
            MANIFEST_SHA256: manifest.index_sha256,
            "SLIPWAY_WATCH_STDIN": "1",
            "SLIPWAY_DESK": "1",
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        }
        if port:
            stderr.print(f"a page to try it: http://127.0.0.1:{port}/ (Ctrl-C ends the server)")
        child = subprocess.Popen(
            [*command, "--model-dir", str(unpacked)], env=environment, stdin=subprocess.PIPE
        )

        def end(_number: int, _frame: object) -> None:
            child.terminate()

        signal.signal(signal.SIGTERM, end)
        try:
            code = child.wait()
        except KeyboardInterrupt:
            child.terminate()
            code = child.wait()
    raise typer.Exit(code)


def _native_variables(folder: Path, manifest: PackageManifest, allow_code: bool) -> dict[str, str]:
    """What the server is told of the package's code and environment, which is built if need be."""
    from scripts.models import environments as model_environments

    allowed = {ALLOW_CODE: manifest.index_sha256} if allow_code else {}
    if not model_environments.allows({**os.environ, **allowed}, manifest):
        raise CodeRefusedError(
            f"{folder} runs what it brings when it is loaded, "
            f"{', '.join(manifest.runs_code or ())}; if you trust this package, add --allow-code"
        )
    if not manifest.is_native:
        return allowed
    return allowed | model_environments.variables(folder, manifest, project_root())


def _dist() -> Path:
    """The project's folder of packages, shown as short as it can be from here."""
    folder = project_root() / DIST
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def models(stack: StackOption = None, as_json: JsonOption = False) -> None:
    """The registry: versions, packages, and where each serves."""
    from model_code import registry

    uri = registry.tracking_uri(project_root())
    found = [v for name in registry.names(uri) for v in registry.versions(uri, name)]
    dist = _dist()
    packaged = {(v.model, v.version): (dist / v.model / v.version).is_dir() for v in found}
    serves = _serving(stack) if found else None
    if as_json:
        print_json(
            [
                {
                    **asdict(v),
                    "packaged": packaged[v.model, v.version],
                    "serves": None if serves is None else serves.get(v.uri, []),
                }
                for v in found
            ]
        )
        return
    columns = ["model", "version", "aliases", "metrics", "packaged"]
    table = Table(*columns, *(["serves"] if serves is not None else []), box=None)
    for version in found:
        metrics = sorted(version.metrics.items())[:METRICS_SHOWN]
        table.add_row(
            version.model,
            version.version,
            ", ".join(version.aliases),
            ", ".join(f"{name} {value:.4g}" for name, value in metrics),
            "yes" if packaged[version.model, version.version] else "no",
            *(["; ".join(serves.get(version.uri, []))] if serves is not None else []),
        )
    stdout.print(table if found else "the registry is empty; start with `slipway train`")


def _serving(stack: str | None) -> dict[str, list[str]] | None:
    """None where it cannot be asked: the registry is told without it."""
    from scripts.models.serving import serving
    from scripts.release.stack import open_stack

    try:
        return serving(open_stack(stack))
    except SlipwayError as error:
        if stack is not None:
            raise
        stderr.print(f"where they serve is not told: {error}", markup=False)
        return None


def register(app: typer.Typer) -> None:
    for command in (train, package, serve, models):
        app.command()(command)

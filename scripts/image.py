"""``slipway image``: builds the model server's image, pushes it, and names it for a stack."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from scripts.console import JsonOption, StackOption, print_json, progress, project_root, stdout
from scripts.image_context import PYTHON, ImageError, Recipe, native_of, staged
from scripts.image_engine import find_engine
from scripts.image_registry import RegistryError, Repository

app = typer.Typer(
    name="image", no_args_is_help=True, help="Build the model server's image, and push it."
)

EngineOption = Annotated[
    str | None,
    typer.Option("--engine", help="docker, podman or buildah; default: the first that works."),
]
BaseOption = Annotated[
    str | None,
    typer.Option(
        "--base",
        help="A Debian with Python 3.11 or newer as python3; default: Python's own, slim.",
    ),
]
ParquetOption = Annotated[
    bool, typer.Option("--with-parquet", help="Let requests be Parquet (pyarrow).")
]
SklearnOption = Annotated[
    bool,
    typer.Option("--with-sklearn", help="Serve scikit-learn models that were not converted."),
]
PackageOption = Annotated[
    Path | None,
    typer.Option(
        "--package", metavar="DIST_DIR", help="Bake in the environment of this unconverted model."
    ),
]
PipOption = Annotated[
    Path | None,
    typer.Option("--pip-config", help="A pip.conf for the build; it does not stay in the image."),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Name the image for this model alone.")
]
RepositoryArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="REPOSITORY",
        help="ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME; default: of the image named now.",
    ),
]


@dataclass(frozen=True)
class Built:
    """``id`` is the engine's; ``tag`` names the content that the image was made of."""

    tag: str
    id: str
    engine: str


@dataclass(frozen=True)
class Pushed:
    """``image`` is pinned by its digest; ``built`` is False where the registry had it already."""

    image: str
    tag: str
    built: bool
    config: str
    changed: bool


def register(root: typer.Typer) -> None:
    root.add_typer(app, name="image")


@app.command()
def build(
    engine: EngineOption = None,
    base: BaseOption = None,
    with_parquet: ParquetOption = False,
    with_sklearn: SklearnOption = False,
    package: PackageOption = None,
    pip_config: PipOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build the model server's image; its tag is the hash of what it is made of."""
    recipe = _recipe(base, with_parquet, with_sklearn, package)
    built = _build(recipe, engine, pip_config)
    if as_json:
        print_json(asdict(built))
        return
    stdout.print(f"{built.tag}  {built.id[:19]}…, by {built.engine}", markup=False, soft_wrap=True)


@app.command()
def push(  # noqa: PLR0913, PLR0917 the options of a command
    repository: RepositoryArgument = None,
    stack: StackOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    base: BaseOption = None,
    with_parquet: ParquetOption = False,
    with_sklearn: SklearnOption = False,
    package: PackageOption = None,
    pip_config: PipOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build the image, push it to Amazon ECR, and write its digest into the stack's file.

    What the repository has already is neither built nor pushed again.
    """
    from scripts.image_config import image_of, stack_file, write_image
    from scripts.release_stack import stack_name

    name = stack_name(stack)
    file = stack_file(project_root(), name)
    target = _repository(repository, image_of(file, model) or image_of(file), file.name)
    recipe = _recipe(base, with_parquet, with_sklearn, package)
    with staged(recipe) as (_, tag):
        remote = tag.partition(":")[2]
    digest = target.digest_of(remote)
    is_built = digest is None
    if digest is None:
        _build(recipe, engine, pip_config)
        found = find_engine(engine)
        with progress(f"pushing to {target.uri}"):
            found.login(target.registry, *target.credentials())
            digest = found.push(tag, f"{target.uri}:{remote}")
    image = f"{target.uri}@{digest}"
    pushed = Pushed(image, remote, is_built, str(file), write_image(file, image, model))
    if as_json:
        print_json(asdict(pushed))
        return
    verb = "pushed" if is_built else "already there:"
    stdout.print(f"{verb} {image}", markup=False, soft_wrap=True)
    written = "written to" if pushed.changed else "stands in"
    stdout.print(
        f"{written} {file.name}; next: slipway up --stack {name}", markup=False, soft_wrap=True
    )


def _recipe(base: str | None, parquet: bool, sklearn: bool, package: Path | None) -> Recipe:
    extras = [name for name, wanted in (("parquet", parquet), ("sklearn", sklearn)) if wanted]
    lock, python = (None, PYTHON) if package is None else native_of(package)
    return Recipe(base or f"python:{python}-slim", tuple(extras), lock)


def _build(recipe: Recipe, engine: str | None, pip_config: Path | None) -> Built:
    if pip_config is not None and not pip_config.is_file():
        raise ImageError(f"--pip-config is {pip_config}, which is no file; name a pip.conf")
    secrets = {} if pip_config is None else {"pip.conf": pip_config.resolve()}
    found = find_engine(engine)
    with staged(recipe) as (context, tag), progress(f"building {tag} with {found.name}"):
        return Built(tag, found.build(context, tag, recipe.arguments, secrets), found.name)


def _repository(named: str | None, image: str | None, file: str) -> Repository:
    if named is not None:
        return Repository.parse(named)
    if image is None:
        raise RegistryError(
            f"no repository was named, and {file} names no image; name one: "
            "slipway image push ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME"
        )
    return Repository.parse(image.partition("@")[0])

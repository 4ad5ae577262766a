"""``slipway image``: builds the model server's image, pushes it, and names it for a stack."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.console import JsonOption, StackOption, print_json, progress, project_root, stdout
from scripts.image.context import (
    PLATFORM,
    PLATFORMS,
    PYTHON,
    ImageError,
    Recipe,
    native_of,
    staged,
)
from scripts.image.engine import CODEBUILD, find_engine
from scripts.image.registry import RegistryError, Repository

if TYPE_CHECKING:
    from scripts.image.codebuild import CodeBuild

app = typer.Typer(
    name="image", no_args_is_help=True, help="Build the model server's image, and push it."
)

BuilderOption = Annotated[
    str | None,
    typer.Option(
        "--builder",
        "--engine",
        metavar="BUILDER",
        help="docker, podman, buildah, or codebuild: the stack's project in AWS, which pushes, "
        "too; default: the first of the three that works here.",
    ),
]
BaseOption = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="IMAGE",
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
    typer.Option(
        "--pip-config",
        metavar="FILE",
        help="A pip.conf for the build; it does not stay in the image.",
    ),
]
PlatformOption = Annotated[
    str,
    typer.Option(
        help="linux/arm64 for SageMaker's Graviton instances; all others are amd64.",
        metavar="PLATFORM",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="MODEL", help="Name the image for this model alone."),
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
def build(  # noqa: PLR0913, PLR0917 the options of a command
    builder: BuilderOption = None,
    base: BaseOption = None,
    with_parquet: ParquetOption = False,
    with_sklearn: SklearnOption = False,
    package: PackageOption = None,
    pip_config: PipOption = None,
    platform: PlatformOption = PLATFORM,
    stack: StackOption = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build the model server's image; its tag is the hash of what it is made of.

    With --builder codebuild it is pushed, too, and --stack and --model mean what they do for push.
    """
    recipe = _recipe(base, with_parquet, with_sklearn, package, platform)
    if builder == CODEBUILD:
        _tell(_push(recipe, builder, pip_config, None, stack, model), stack, as_json)
        return
    if stack is not None or model is not None:
        raise ImageError("--stack and --model are for --builder codebuild; or use `image push`")
    built = _build(recipe, builder, pip_config)
    if as_json:
        print_json(asdict(built))
        return
    stdout.print(f"{built.tag}  {built.id[:19]}…, by {built.engine}", markup=False, soft_wrap=True)


@app.command()
def push(  # noqa: PLR0913, PLR0917 the options of a command
    repository: RepositoryArgument = None,
    stack: StackOption = None,
    model: ModelOption = None,
    builder: BuilderOption = None,
    base: BaseOption = None,
    with_parquet: ParquetOption = False,
    with_sklearn: SklearnOption = False,
    package: PackageOption = None,
    pip_config: PipOption = None,
    platform: PlatformOption = PLATFORM,
    as_json: JsonOption = False,
) -> None:
    """Build the image, push it to Amazon ECR, and write its digest into the stack's file.

    What the repository has already is neither built nor pushed again.
    """
    recipe = _recipe(base, with_parquet, with_sklearn, package, platform)
    _tell(_push(recipe, builder, pip_config, repository, stack, model), stack, as_json)


def _push(
    recipe: Recipe,
    builder: str | None,
    pip_config: Path | None,
    repository: str | None,
    stack: str | None,
    model: str | None,
) -> Pushed:
    from scripts.image.config import image_before, stack_file, write_image
    from scripts.release.stack import stack_name

    file = stack_file(project_root(), stack_name(stack))
    before = image_before(file, model)
    project = _project(stack, repository, pip_config, recipe) if builder == CODEBUILD else None
    named = repository if project is None else project.record.repository
    target = _repository(named, before, file.name)
    with staged(recipe) as (context, tag):
        remote = tag.partition(":")[2]
        digest = target.digest_of(remote)
        is_built = digest is None
        if digest is None and project is not None:
            with progress(f"building {target.uri}:{remote} with CodeBuild"):
                digest = project.run(context, remote, recipe, target)
    if digest is None:
        _build(recipe, builder, pip_config)
        found = find_engine(builder)
        with progress(f"pushing to {target.uri}"):
            found.login(target.registry, *target.credentials())
            digest = found.push(tag, f"{target.uri}:{remote}")
            target.digest_of(remote)
    image = f"{target.uri}@{digest}"
    return Pushed(image, remote, is_built, str(file), write_image(file, image, model))


def _tell(pushed: Pushed, stack: str | None, as_json: bool) -> None:
    from scripts.release.stack import stack_name

    if as_json:
        print_json(asdict(pushed))
        return
    verb = "pushed" if pushed.built else "already there:"
    stdout.print(f"{verb} {pushed.image}", markup=False, soft_wrap=True)
    written = "written to" if pushed.changed else "stands in"
    stdout.print(
        f"{written} {Path(pushed.config).name}; next: slipway up --stack {stack_name(stack)}",
        markup=False,
        soft_wrap=True,
    )


def _project(
    stack: str | None, repository: str | None, pip_config: Path | None, recipe: Recipe
) -> CodeBuild:
    """The stack's project, where it can do what the command was told."""
    from scripts.image.codebuild import CodeBuild
    from scripts.release.stack import open_stack

    if pip_config is not None:
        raise ImageError(
            "--pip-config may hold a password, which would lie in the stack's bucket; with it "
            "build by docker, podman or buildah"
        )
    if recipe.platform != PLATFORM:
        raise ImageError(
            f"the platform is {recipe.platform}, and the stack's CodeBuild project builds "
            f"{PLATFORM} alone; build the other one by docker, podman or buildah"
        )
    project = CodeBuild.of(open_stack(stack))
    if repository not in (None, project.record.repository):
        raise ImageError(
            f"the repository is {repository}, and the stack's CodeBuild project pushes to "
            f"{project.record.repository} alone; leave it out, or change "
            f"slipway:imageBuild.repository in Pulumi.{project.stack.name}.yaml"
        )
    return project


def _recipe(
    base: str | None, parquet: bool, sklearn: bool, package: Path | None, platform: str
) -> Recipe:
    if platform not in PLATFORMS:
        raise ImageError(
            f"the platform is {platform[:64]!r}; one of {', '.join(PLATFORMS)} is needed"
        )
    extras = [name for name, wanted in (("parquet", parquet), ("sklearn", sklearn)) if wanted]
    lock, python = (None, PYTHON) if package is None else native_of(package)
    return Recipe(base or f"python:{python}-slim", tuple(extras), lock, platform)


def _build(recipe: Recipe, builder: str | None, pip_config: Path | None) -> Built:
    if pip_config is not None and not pip_config.is_file():
        raise ImageError(f"--pip-config is {pip_config}, which is no file; name a pip.conf")
    secrets = {} if pip_config is None else {"pip.conf": pip_config.resolve()}
    found = find_engine(builder)
    with staged(recipe) as (context, tag), progress(f"building {tag} with {found.name}"):
        return Built(
            tag, found.build(context, tag, recipe.platform, recipe.arguments, secrets), found.name
        )


def _repository(named: str | None, image: str | None, file: str) -> Repository:
    if named is not None:
        return Repository.parse(named)
    if image is None:
        raise RegistryError(
            f"no repository was named, and {file} names no image; name one: "
            "slipway image push ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME"
        )
    return Repository.parse(image.partition("@")[0])

"""What VariantStatus says about each step of a deployment (fact sheet 3.3). Pure."""

from __future__ import annotations

from localcloud.sagemaker.script import Bake, Counts, Drop, Provision, Restore, Retire, Shift

Told = dict[str, tuple[str, str]]


def of_green(step: Provision | Shift | Bake | Drop) -> Told:
    """Status and message of each new variant that the step concerns.

    SageMaker's words are known for a canary and a full fleet; a step of a linear or a rolling
    deployment is told as a canary here.
    """
    match step:
        case Provision(counts=counts):
            return launching(counts)
        case Shift(green=green):
            kind = _capacity(step.is_full)
            return {
                name: ("ActivatingTraffic", f"Activating traffic on {kind} of {n} instance(s).")
                for name, n in green.items()
            }
        case Bake(capacity=capacity):
            kind = _capacity(step.is_full)
            began = f"Baking for {step.seconds} seconds ({step.wait}) with traffic enabled on"
            return {
                name: ("Baking", f"{began} {kind} of {n} instance(s).")
                for name, n in capacity.items()
            }
        case Drop(counts=counts):
            return terminating(counts)


def of_return(step: Shift) -> Told:
    """As :func:`of_green`, of each old variant that gets traffic back."""
    return {
        name: ("ActivatingTraffic", f"Activating traffic on full capacity of {n} instance(s).")
        for name, n in step.blue.items()
    }


def of_blue(step: Retire | Restore) -> Told:
    """As :func:`of_green`, of each old variant."""
    match step:
        case Retire(counts=counts):
            return terminating(counts)
        case Restore(counts=counts):
            return launching(counts)


def launching(counts: Counts) -> Told:
    return {n: ("Creating", f"Launching {count} instance(s).") for n, count in counts.items()}


def terminating(counts: Counts) -> Told:
    return {n: ("Deleting", f"Terminating {count} instance(s).") for n, count in counts.items()}


def _capacity(is_full: bool) -> str:
    return "full capacity" if is_full else "canary capacity"

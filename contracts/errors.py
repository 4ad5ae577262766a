"""The root of every error whose text a person is meant to read."""


class SlipwayError(Exception):
    """A problem with a clear remedy.

    The text is lower-case and says where, what came, what is allowed and what to do.
    ``exit_code`` is what the command line ends with (1 unless a subclass says otherwise).
    """

    exit_code = 1


class ContractError(SlipwayError):
    """A file that travels between the parts does not have the agreed form."""

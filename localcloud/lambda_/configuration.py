"""The configuration of a function: what AWS fills in, and what it refuses. Pure."""

from __future__ import annotations

from typing import Any

from localcloud.lambda_.spec import RUNTIMES
from localcloud.service import ServiceError

Config = dict[str, Any]
MAX_ENVIRONMENT_BYTES = 4096
MAX_TIMEOUT_SECONDS = 900
MAX_MEMORY_MB = 10_240
RESERVED_VARIABLES = frozenset(
    (
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    )
)
# Parameters of Create and Update that are configuration as they come.
_PLAIN = (
    "Description",
    "Handler",
    "Role",
    "Runtime",
    "Timeout",
    "MemorySize",
    "KMSKeyArn",
    "DeadLetterConfig",
    "TracingConfig",
    "EphemeralStorage",
)
_UNSUPPORTED = {
    "Layers": "layers",
    "FileSystemConfigs": "file systems",
    "ImageConfig": "container images",
    "DurableConfig": "durable functions",
    "CapacityProviderConfig": "capacity providers",
    "TenancyConfig": "tenant isolation",
    "CodeSigningConfigArn": "code signing",
}


def created(params: dict[str, Any]) -> Config:
    """The configuration of a new function, without code, version and times.

    Raises:
        ServiceError: what AWS, or this cloud, refuses.
    """
    if params.get("PackageType", "Zip") != "Zip":
        raise _unsupported("container images")
    for name in ("Runtime", "Handler"):
        if not params.get(name):
            raise refused(f"{name} is mandatory for functions created with deployment packages.")
    config: Config = {
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "PackageType": "Zip",
        "Architectures": params.get("Architectures") or ["x86_64"],
        "TracingConfig": {"Mode": "PassThrough"},
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {
            "LogFormat": "Text",
            "LogGroup": f"/aws/lambda/{params['FunctionName']}",
        },
    }
    return changed(config, params)


def changed(config: Config, params: dict[str, Any]) -> Config:
    """The configuration after an update.

    Raises:
        ServiceError: what AWS, or this cloud, refuses.
    """
    for name, what in _UNSUPPORTED.items():
        if params.get(name):
            raise _unsupported(what)
    if (params.get("VpcConfig") or {}).get("SubnetIds"):
        raise _unsupported("functions in a VPC")
    if (params.get("SnapStart") or {}).get("ApplyOn", "None") != "None":
        raise _unsupported("SnapStart")
    logging_config = params.get("LoggingConfig") or {}
    if logging_config.get("LogFormat", "Text") != "Text":
        raise _unsupported("JSON logs")
    new = {**config, **{name: params[name] for name in _PLAIN if params.get(name) is not None}}
    if "Environment" in params:
        new.pop("Environment", None)
        if params["Environment"].get("Variables"):
            new["Environment"] = {"Variables": dict(params["Environment"]["Variables"])}
    if not (new.get("DeadLetterConfig") or {}).get("TargetArn"):
        new.pop("DeadLetterConfig", None)
    if not new.get("KMSKeyArn"):
        new.pop("KMSKeyArn", None)
    _check(new)
    return new


def _check(config: Config) -> None:
    if config["Runtime"] not in RUNTIMES:
        raise refused(
            f"the runtime {config['Runtime']} does not run in the local cloud; "
            f"use {', '.join(RUNTIMES)}"
        )
    if not 1 <= config["Timeout"] <= MAX_TIMEOUT_SECONDS:
        raise _range("timeout", config["Timeout"], 1, MAX_TIMEOUT_SECONDS)
    if not 128 <= config["MemorySize"] <= MAX_MEMORY_MB:
        raise _range("memorySize", config["MemorySize"], 128, MAX_MEMORY_MB)
    variables: dict[str, str] = (config.get("Environment") or {}).get("Variables") or {}
    reserved = sorted(RESERVED_VARIABLES & set(variables))
    if reserved:
        raise refused(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided contains reserved keys that are currently not supported "
            f"for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    size = sum(len(k.encode()) + len(v.encode()) for k, v in variables.items())
    if size > MAX_ENVIRONMENT_BYTES:
        raise refused(
            "Lambda was unable to configure your environment variables because the environment "
            f"variables you have provided exceeded the {MAX_ENVIRONMENT_BYTES // 1024}KB limit."
        )


def refused(message: str) -> ServiceError:
    return ServiceError("InvalidParameterValueException", message)


def _unsupported(what: str) -> ServiceError:
    return refused(f"the local cloud does not run {what}")


def _range(name: str, value: int, low: int, high: int) -> ServiceError:
    limit = f"less than or equal to {high}" if value > high else f"greater than or equal to {low}"
    return ServiceError(
        "ValidationException",
        f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: "
        f"Member must have value {limit}",
    )

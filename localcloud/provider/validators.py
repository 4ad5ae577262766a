"""The real provider's validators of single values: each gives the reason of a refusal, or None."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

ARN_PARTITION = re.compile(r"aws(-[a-z]+)*")
ARN_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
ARN_ACCOUNT = re.compile(r"aws|aws-managed|third-party|\d{12}|cw.{10}")
EC2_ACTION = re.compile(r"arn:[\w-]+:automate:[\w-]+:ec2:(reboot|recover|stop|terminate)")
EXTENDED_STATISTIC = re.compile(
    r"(p|tm|wm|tc|ts)((\d{1,2}(\.\d{1,2})?)|100)|IQM"
    r"|(TM|WM|PR|TC|TS)\((\d+(\.\d+)?%?)?:(\d+(\.\d+)?%?)?\)"
)
STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
DIRECTORY_BUCKET = re.compile(r".*--[a-z0-9-]+--x-s3")
KMS_ALIAS = re.compile(r"alias/[a-zA-Z0-9:/_-]+")
CONTENT_TYPE = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9.+])*/[a-zA-Z0-9](-*[a-zA-Z0-9.+])*")
ENVIRONMENT_KEY = re.compile(r"[A-Za-z_][0-9A-Za-z_]*")

Validator = Callable[[Any], str | None]


def arn(value: str) -> str | None:
    """Empty passes; else every part must be as AWS writes ARNs."""
    if not value:
        return None
    parts = value.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        return f"({value}) is an invalid ARN: arn: invalid prefix or not enough sections"
    _, partition, _, region, account, resource = parts
    if not ARN_PARTITION.fullmatch(partition):
        return f"({value}) is an invalid ARN: invalid partition value ({partition})"
    if region and not ARN_REGION.fullmatch(region):
        return f"({value}) is an invalid ARN: invalid region value ({region})"
    if account and not ARN_ACCOUNT.fullmatch(account):
        return f"({value}) is an invalid ARN: invalid account ID value ({account})"
    if not resource:
        return f"({value}) is an invalid ARN: missing resource value"
    return None


def not_arn(value: str) -> str | None:
    return f"({value}) is an ARN where a name is expected" if value.startswith("arn:") else None


def json_text(value: str) -> str | None:
    try:
        json.loads(value)
    except ValueError as error:
        return f"contains an invalid JSON: {error}"
    return None


def iam_policy(value: str) -> str | None:
    """JSON whose first character is ``{``, without a key given twice."""
    if not value:
        return "is an empty string, which is not a valid JSON value"
    if not value.startswith("{"):
        return "contains an invalid JSON policy: leading space characters or no object"
    try:
        json.loads(value, object_pairs_hook=_unique_keys)
    except ValueError as error:
        return f"contains an invalid JSON policy: {error}"
    return None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise ValueError(f"duplicate key {key!r}")
        seen[key] = value
    return seen


def account_id(value: str) -> str | None:
    return None if re.fullmatch(r"\d{12}", value) else "must be an AWS account id of 12 digits"


def region(value: str) -> str | None:
    return None if ARN_REGION.fullmatch(value) else f"({value}) is not an AWS region"


def not_directory_bucket(value: str) -> str | None:
    if DIRECTORY_BUCKET.fullmatch(value):
        return f"({value}) is the name of a directory bucket; use aws.s3.DirectoryBucket"
    return None


def kms_alias(value: str) -> str | None:
    if value.startswith("alias/aws") or not KMS_ALIAS.fullmatch(value):
        return "must begin with 'alias/', not with 'alias/aws', and hold only [a-zA-Z0-9:/_-]"
    return None


def rfc3339(value: str) -> str | None:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        return f"({value}) must be a full RFC 3339 time stamp, e.g. 2026-01-31T00:00:00Z"
    return None


def lower_case_keys(value: dict[str, Any]) -> str | None:
    wrong = [key for key in value if key != key.lower()]
    return f"keys must be lower case: {', '.join(wrong)}" if wrong else None


def plain_quotes(value: str) -> str | None:
    return (
        "cannot contain specially formatted single or double quotes: [“‘]"
        if re.search("[“‘]", value)
        else None
    )


def sagemaker_environment(value: dict[str, Any]) -> str | None:
    for key, text in value.items():
        if not ENVIRONMENT_KEY.fullmatch(key):
            return f"key ({key}) must start with a letter or underscore and hold only [0-9A-Za-z_]"
        if len(key) > 1024 or (isinstance(text, str) and len(text) > 1024):
            return f"key ({key}): key and value cannot be longer than 1024 characters"
    return None


def one_update_policy(value: dict[str, Any]) -> str | None:
    given = [k for k in ("blueGreenUpdatePolicy", "rollingUpdatePolicy") if k in value]
    if len(given) != 1:
        return "exactly one of blueGreenUpdatePolicy, rollingUpdatePolicy must be specified"
    return None


def capture_content_types(value: dict[str, Any]) -> str | None:
    if not value.get("csvContentTypes") and not value.get("jsonContentTypes"):
        return "at least one of csvContentTypes, jsonContentTypes must be specified"
    return None


def content_type(value: str) -> str | None:
    if len(value) > 256 or not CONTENT_TYPE.fullmatch(value):
        return f"({value}) must be a content type such as text/csv, at most 256 characters"
    return None


def alarm_action(value: str) -> str | None:
    return None if EC2_ACTION.fullmatch(value) else arn(value)


def alarm_period(value: int) -> str | None:
    if value in (10, 20, 30) or (value > 0 and value % 60 == 0):
        return None
    return f"expected 10, 20, 30 or a multiple of 60, got {value}"


def metric_period(value: int) -> str | None:
    return None if value in (1, 5) else alarm_period(value)


def extended_statistic(value: str) -> str | None:
    if EXTENDED_STATISTIC.fullmatch(value):
        return None
    return f"({value}) is no extended statistic: p95, tm90, IQM, PR(:200) and the like are"


def metric_stat(value: str) -> str | None:
    return None if value in STATISTICS else extended_statistic(value)


def float_text(value: str) -> str | None:
    try:
        float(value or 0)
    except ValueError:
        return f"cannot parse '{value}' as a number"
    return None


def log_destination(value: str) -> str | None:
    if not value or value.endswith(":*"):
        return arn(value)
    return f"({value}) must be the ARN of a log group with ':*' at its end"


def input_paths(value: dict[str, Any]) -> str | None:
    if len(value) > 100:
        return f"expected at most 100 keys, got {len(value)}"
    wrong = [key for key in value if key.startswith("AWS")]
    return f"keys must not begin with AWS: {', '.join(wrong)}" if wrong else None


def trimmed(value: str) -> str | None:
    return None if value == value.strip() else "must not begin or end with white space"


VALIDATORS: dict[str, Validator] = {
    "accountId": account_id,
    "alarmAction": alarm_action,
    "alarmPeriod": alarm_period,
    "arn": arn,
    "captureContentTypes": capture_content_types,
    "contentType": content_type,
    "extendedStatistic": extended_statistic,
    "floatText": float_text,
    "iamPolicy": iam_policy,
    "inputPaths": input_paths,
    "json": json_text,
    "kmsAlias": kms_alias,
    "logDestination": log_destination,
    "lowerCaseKeys": lower_case_keys,
    "metricPeriod": metric_period,
    "metricStat": metric_stat,
    "notArn": not_arn,
    "notDirectoryBucket": not_directory_bucket,
    "oneUpdatePolicy": one_update_policy,
    "plainQuotes": plain_quotes,
    "region": region,
    "rfc3339": rfc3339,
    "sagemakerEnvironment": sagemaker_environment,
    "trimmed": trimmed,
}

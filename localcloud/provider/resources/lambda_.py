"""aws.lambda_.Function and Permission."""

# The interface of a resource decides the arguments.
# ruff: noqa: ARG002

from __future__ import annotations

import json
from typing import Any

from localcloud.provider import archives
from localcloud.provider.errors import ProviderError, code_of, message_of
from localcloud.provider.naming import name_prefix, unique_id
from localcloud.provider.resources.base import Call, Resource, retry
from localcloud.provider.values import Asset, Properties

_CONFIGURATION = (
    "deadLetterConfig",
    "description",
    "environment",
    "ephemeralStorage",
    "handler",
    "kmsKeyArn",
    "memorySize",
    "role",
    "runtime",
    "timeout",
    "tracingConfig",
)
_CODE = frozenset({"architectures", "code", "codeSha256", "s3Bucket", "s3Key", "sourceCodeHash"})


def _may_pass(error: Exception) -> bool:
    """What the real provider repeats until IAM and Lambda have caught up."""
    message = message_of(error)
    return code_of(error) == "ResourceConflictException" or (
        code_of(error) == "InvalidParameterValueException"
        and ("cannot be assumed by Lambda" in message or "does not have permissions" in message)
    )


class Function(Resource):
    """Code is only written, never read back: drift shows in codeSha256 and the configuration."""

    token = "aws:lambda/function:Function"
    gone = frozenset({"ResourceNotFoundException"})

    def create(self, call: Call) -> None:
        client, inputs = call.client(), call.inputs
        request: dict[str, Any] = {
            **call.request([*_CONFIGURATION, "name", "packageType", "publish"]),
            "Code": _code(call),
        }
        if inputs.get("architectures"):
            request["Architectures"] = inputs["architectures"]
        if call.tags:
            request["Tags"] = call.tags
        # An existing function is a conflict that does not pass.
        retry(
            lambda: client.create_function(**request),
            lambda e: _may_pass(e) and code_of(e) != "ResourceConflictException",
        )
        call.id = str(inputs["name"])
        self._set_concurrency(call)

    def read(self, call: Call) -> Properties | None:
        client = call.client()
        answer = client.get_function(FunctionName=call.id)
        config = answer["Configuration"]
        versions = client.list_versions_by_function(FunctionName=call.id)["Versions"]
        arn = config["FunctionArn"]
        qualified = versions[-1]["FunctionArn"]
        found = call.properties(config)
        code = call.known.get("code")
        if isinstance(code, Asset) and "sourceCodeHash" not in call.inputs:
            found["sourceCodeHash"] = code.hash
        return {
            **found,
            "arn": arn,
            "environment": found.get("environment"),
            "invokeArn": _invoke_arn(call, arn),
            "lastModified": config["LastModified"],
            "qualifiedArn": qualified,
            "qualifiedInvokeArn": _invoke_arn(call, qualified),
            "responseStreamingInvokeArn": _invoke_arn(
                call, arn, "2021-11-15", "response-streaming-invocations"
            ),
            "reservedConcurrentExecutions": answer.get("Concurrency", {}).get(
                "ReservedConcurrentExecutions", -1
            ),
            "signingJobArn": config.get("SigningJobArn", ""),
            "signingProfileVersionArn": config.get("SigningProfileVersionArn", ""),
            "sourceCodeSize": config["CodeSize"],
            "version": versions[-1]["Version"],
            "tagsAll": answer.get("Tags", {}),
        }

    def update(self, call: Call, changed: set[str]) -> None:
        """Configuration, code, concurrency, version, in this order."""
        client, name = call.client(), call.id
        if changed & {*_CONFIGURATION}:
            request = {"FunctionName": name, **_configuration(call, changed)}
            retry(lambda: client.update_function_configuration(**request), _may_pass)
        if changed & _CODE:
            code = _code(call)
            if call.inputs.get("architectures"):
                code["Architectures"] = call.inputs["architectures"]
            retry(lambda: client.update_function_code(FunctionName=name, **code), _may_pass)
        if "reservedConcurrentExecutions" in changed:
            self._set_concurrency(call)
        if call.inputs.get("publish") and changed & {*_CONFIGURATION, *_CODE, "publish"}:
            client.publish_version(FunctionName=name)

    def delete(self, call: Call) -> None:
        if not call.state.get("skipDestroy"):
            call.client().delete_function(FunctionName=call.id)

    def tag(self, call: Call, added: dict[str, str], removed: list[str]) -> None:
        client, arn = call.client(), call.state["arn"]
        if removed:
            client.untag_resource(Resource=arn, TagKeys=removed)
        if added:
            client.tag_resource(Resource=arn, Tags=added)

    def unknown_after(self, changed: set[str]) -> set[str]:
        unknown = {"lastModified"} if changed & _CODE else set[str]()
        if "publish" in changed:
            unknown |= {"version", "qualifiedArn", "qualifiedInvokeArn"}
        return unknown

    def unknown_with(self, changed: set[str], wanted: Properties) -> set[str]:
        """A function that publishes gets a new version by every change."""
        if wanted.get("publish") and changed & {*_CONFIGURATION, *_CODE}:
            return self.unknown_after({*changed, "publish"})
        return self.unknown_after(changed)

    @staticmethod
    def _set_concurrency(call: Call) -> None:
        client, wanted = call.client(), call.inputs.get("reservedConcurrentExecutions")
        if wanted is not None and wanted >= 0:
            client.put_function_concurrency(
                FunctionName=call.id, ReservedConcurrentExecutions=wanted
            )
        elif call.state:
            client.delete_function_concurrency(FunctionName=call.id)


class Permission(Resource):
    """A statement of a function's policy; nothing of it changes in place."""

    token = "aws:lambda/permission:Permission"
    gone = frozenset({"ResourceNotFoundException"})

    def create(self, call: Call) -> None:
        client, inputs = call.client(), call.inputs
        sid = inputs.get("statementId")
        if not sid:
            sid = str(inputs.get("statementIdPrefix") or "terraform-") + unique_id()
        request = call.request([n for n in call.type.inputs if n != "statementIdPrefix"])
        request["StatementId"] = sid
        again = ("ResourceConflictException", "ResourceNotFoundException")
        retry(lambda: client.add_permission(**request), lambda e: code_of(e) in again)
        call.id = str(sid)

    def read(self, call: Call) -> Properties | None:
        known = call.known
        request = {"FunctionName": known["function"]}
        if known.get("qualifier"):
            request["Qualifier"] = known["qualifier"]
        policy = json.loads(call.client().get_policy(**request)["Policy"])
        found = next((s for s in policy["Statement"] if s["Sid"] == call.id), None)
        if found is None:
            return None
        condition = found.get("Condition", {})
        equal: dict[str, str] = condition.get("StringEquals", {})
        result: Properties = {
            "action": found["Action"],
            "function": known["function"],
            "principal": _principal(found["Principal"]),
            "qualifier": known.get("qualifier"),
            "statementId": call.id,
            "statementIdPrefix": name_prefix(call.id),
        }
        if "StringEquals" in condition:
            result |= {
                "eventSourceToken": equal.get("lambda:EventSourceToken"),
                "functionUrlAuthType": equal.get("lambda:FunctionUrlAuthType"),
                "principalOrgId": equal.get("aws:PrincipalOrgID"),
                "sourceAccount": equal.get("AWS:SourceAccount"),
            }
        if "ArnLike" in condition:
            result["sourceArn"] = condition["ArnLike"].get("AWS:SourceArn")
        return result

    def delete(self, call: Call) -> None:
        request = {"FunctionName": call.state["function"], "StatementId": call.id}
        if call.state.get("qualifier"):
            request["Qualifier"] = call.state["qualifier"]
        call.client().remove_permission(**request)

    def import_state(self, resource_id: str) -> Properties:
        function, _, statement = resource_id.rpartition("/")
        if not function or not statement:
            raise ProviderError(
                f"{resource_id!r} is not a permission's id; write it as function/statement or "
                "function:qualifier/statement"
            )
        if function.startswith("arn:") or ":" not in function:
            return {"function": function}
        name, _, qualifier = function.partition(":")
        return {"function": name, "qualifier": qualifier}

    def imported_id(self, resource_id: str, found: Properties) -> str:
        return resource_id.rpartition("/")[2]


def _code(call: Call) -> dict[str, Any]:
    code = call.inputs.get("code")
    if isinstance(code, Asset):
        return {"ZipFile": archives.zipped(code)}
    return {"S3Bucket": call.inputs["s3Bucket"], "S3Key": call.inputs.get("s3Key")}


def _configuration(call: Call, changed: set[str]) -> dict[str, Any]:
    """What changes; what the program takes away is sent as empty."""
    request = call.request([name for name in _CONFIGURATION if name in changed])
    empty: dict[str, tuple[str, Any]] = {
        "deadLetterConfig": ("DeadLetterConfig", {"TargetArn": ""}),
        "description": ("Description", ""),
        "environment": ("Environment", {"Variables": {}}),
        "kmsKeyArn": ("KMSKeyArn", ""),
    }
    for name, (member, value) in empty.items():
        if name in changed:
            request.setdefault(member, value)
    if "kmsKeyArn" in changed:
        request |= call.request(["environment"])
    return request


def _invoke_arn(
    call: Call, arn: str, version: str = "2015-03-31", action: str = "invocations"
) -> str:
    return f"arn:aws:apigateway:{call.region}:lambda:path/{version}/functions/{arn}/{action}"


def _principal(principal: Any) -> str:
    if isinstance(principal, dict):
        return str(principal.get("AWS") or principal.get("Service"))
    return str(principal)

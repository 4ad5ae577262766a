"""Lambda's operations on what surrounds a function: policy, concurrency, async settings, tags."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from localcloud.lambda_ import policies
from localcloud.lambda_.store import Function, Store
from localcloud.service import ACCOUNT_ID, RequestContext, ServiceError

Params = dict[str, Any]
_ASYNC = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")


class Settings:
    """The caller holds the lock."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def operations(self) -> dict[str, Callable[[Params, RequestContext], Params]]:
        return {
            "AddPermission": self.add_permission,
            "RemovePermission": self.remove_permission,
            "GetPolicy": self.get_policy,
            "PutFunctionConcurrency": self.put_concurrency,
            "GetFunctionConcurrency": self.get_concurrency,
            "DeleteFunctionConcurrency": self.delete_concurrency,
            "PutFunctionEventInvokeConfig": self.put_invoke_config,
            "UpdateFunctionEventInvokeConfig": self.update_invoke_config,
            "GetFunctionEventInvokeConfig": self.get_invoke_config,
            "DeleteFunctionEventInvokeConfig": self.delete_invoke_config,
            "GetFunctionCodeSigningConfig": self.get_code_signing,
            "TagResource": self.tag,
            "UntagResource": self.untag,
            "ListTags": self.list_tags,
        }

    def add_permission(self, params: Params, context: RequestContext) -> Params:
        function, qualifier = self._find(params, context)
        function.config(qualifier)
        statements = function.policies.setdefault(qualifier or "", [])
        sid = params["StatementId"]
        if any(s["Sid"] == sid for s in statements):
            raise ServiceError(
                "ResourceConflictException",
                f"The statement id ({sid}) provided already exists. Please provide a new statement "
                "id, or remove the existing statement.",
                409,
            )
        made = policies.statement(params, function.qualified(qualifier))
        statements.append(made)
        return {"Statement": json.dumps(made)}

    def remove_permission(self, params: Params, context: RequestContext) -> Params:
        function, qualifier = self._find(params, context)
        statements = function.policies.get(qualifier or "", [])
        kept = [s for s in statements if s["Sid"] != params["StatementId"]]
        if len(kept) == len(statements):
            raise ServiceError(
                "ResourceNotFoundException",
                f"Statement {params['StatementId']} is not found in resource policy.",
                404,
            )
        function.policies[qualifier or ""] = kept
        return {}

    def get_policy(self, params: Params, context: RequestContext) -> Params:
        function, qualifier = self._find(params, context)
        statements = function.policies.get(qualifier or "")
        if not statements:
            raise ServiceError(
                "ResourceNotFoundException", "The resource you requested does not exist.", 404
            )
        policy = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
        text = json.dumps(policy)
        return {"Policy": text, "RevisionId": str(uuid.uuid5(uuid.NAMESPACE_OID, text))}

    def put_concurrency(self, params: Params, context: RequestContext) -> Params:
        function, _ = self._find(params, context)
        function.reserved = params["ReservedConcurrentExecutions"]
        return {"ReservedConcurrentExecutions": function.reserved}

    def get_concurrency(self, params: Params, context: RequestContext) -> Params:
        return {"ReservedConcurrentExecutions": self._find(params, context)[0].reserved}

    def delete_concurrency(self, params: Params, context: RequestContext) -> Params:
        self._find(params, context)[0].reserved = None
        return {}

    def put_invoke_config(self, params: Params, context: RequestContext) -> Params:
        function, qualifier = self._find(params, context)
        return self._put_invoke_config(function, qualifier, {}, params, context)

    def update_invoke_config(self, params: Params, context: RequestContext) -> Params:
        function, qualifier = self._find(params, context)
        old = self.get_invoke_config(params, context)
        return self._put_invoke_config(function, qualifier, old, params, context)

    def get_invoke_config(self, params: Params, context: RequestContext) -> Params:
        function, qualifier = self._find(params, context)
        found = function.invoke_configs.get(qualifier or "$LATEST")
        if found is None:
            raise ServiceError(
                "ResourceNotFoundException",
                f"The function {function.qualified(qualifier or '$LATEST')} doesn't have an "
                "EventInvokeConfig",
                404,
            )
        return found

    def delete_invoke_config(self, params: Params, context: RequestContext) -> Params:
        function, qualifier = self._find(params, context)
        self.get_invoke_config(params, context)
        del function.invoke_configs[qualifier or "$LATEST"]
        return {}

    def get_code_signing(self, params: Params, context: RequestContext) -> Params:
        function, _ = self._find(params, context)
        return {"FunctionName": function.name, "CodeSigningConfigArn": ""}

    def tag(self, params: Params, context: RequestContext) -> Params:
        self._resource(params, context).tags.update(params["Tags"])
        return {}

    def untag(self, params: Params, context: RequestContext) -> Params:
        tags = self._resource(params, context).tags
        for key in params["TagKeys"]:
            tags.pop(key, None)
        return {}

    def list_tags(self, params: Params, context: RequestContext) -> Params:
        return {"Tags": dict(self._resource(params, context).tags)}

    def _find(self, params: Params, context: RequestContext) -> tuple[Function, str | None]:
        return self._store.find(params["FunctionName"], context.region, params.get("Qualifier"))

    def _resource(self, params: Params, context: RequestContext) -> Function:
        return self._store.find(params["Resource"], context.region)[0]

    def _put_invoke_config(
        self,
        function: Function,
        qualifier: str | None,
        old: Params,
        params: Params,
        context: RequestContext,
    ) -> Params:
        name = qualifier or "$LATEST"
        function.config(name)
        for kind in ("OnSuccess", "OnFailure"):
            _check_destination((params.get("DestinationConfig") or {}).get(kind) or {})
        function.invoke_configs[name] = {
            **old,
            **{key: params[key] for key in _ASYNC if params.get(key) is not None},
            "FunctionArn": function.qualified(name),
            "LastModified": context.now,
        }
        return function.invoke_configs[name]


def _check_destination(destination: Params) -> None:
    arn = destination.get("Destination", "")
    if arn and arn.split(":")[2] not in ("sqs", "sns", "lambda", "events"):
        raise ServiceError(
            "InvalidParameterValueException",
            f"The destination ARN {arn} is invalid in account {ACCOUNT_ID}.",
        )

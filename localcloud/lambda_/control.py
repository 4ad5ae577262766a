"""Lambda's operations on functions, versions and aliases; the caller holds the lock."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from localcloud.in_moto import InMoto
from localcloud.lambda_ import configuration
from localcloud.lambda_.packages import Packages
from localcloud.lambda_.store import LATEST, Config, Function, Store, not_found, shown
from localcloud.service import RequestContext, S3Access, ServiceError

Params = dict[str, Any]
PRINCIPAL = "lambda.amazonaws.com"


class Control:
    """Creates, changes, versions and deletes functions."""

    def __init__(self, store: Store, packages: Packages, s3: S3Access, aws: InMoto) -> None:
        self._store, self._packages = store, packages
        self._s3, self._aws = s3, aws

    @property
    def operations(self) -> dict[str, Callable[[Params, RequestContext], Params]]:
        return {
            "CreateFunction": self.create,
            "GetFunction": self.get,
            "GetFunctionConfiguration": self.get_configuration,
            "UpdateFunctionCode": self.update_code,
            "UpdateFunctionConfiguration": self.update_configuration,
            "DeleteFunction": self.delete,
            "ListFunctions": self.list,
            "PublishVersion": self.publish,
            "ListVersionsByFunction": self.list_versions,
            "CreateAlias": self.create_alias,
            "UpdateAlias": self.update_alias,
            "GetAlias": self.get_alias,
            "ListAliases": self.list_aliases,
            "DeleteAlias": self.delete_alias,
        }

    def create(self, params: Params, context: RequestContext) -> Params:
        name = params["FunctionName"].rpartition(":")[2]
        if (context.region, name) in self._store.functions:
            raise ServiceError("ResourceConflictException", f"Function already exist: {name}", 409)
        config = configuration.created({**params, "FunctionName": name})
        self._check_role(config["Role"])
        function = Function(name, context.region, {}, tags=dict(params.get("Tags") or {}))
        function.latest = {
            **config,
            **self._code(params["Code"]),
            "FunctionName": name,
            "FunctionArn": function.arn,
            "Version": LATEST,
            "State": "Active",
            **_touched(context.now),
        }
        self._store.functions[(context.region, name)] = function
        if params.get("Publish"):
            return self._publish(function, "", context.now)
        return shown(function.latest)

    def get(self, params: Params, context: RequestContext) -> Params:
        function, qualifier = self._find(params, context)
        config = function.config(qualifier)
        found: Params = {
            "Configuration": self._described(function, config, qualifier),
            "Code": {
                "RepositoryType": "S3",
                "Location": f"https://awslambda-{function.region}-tasks.s3.{function.region}"
                f".amazonaws.com/{function.name}-{config['_code'][:12]}",
            },
        }
        if function.tags:
            found["Tags"] = function.tags
        if function.reserved is not None:
            found["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved}
        return found

    def get_configuration(self, params: Params, context: RequestContext) -> Params:
        function, qualifier = self._find(params, context)
        return self._described(function, function.config(qualifier), qualifier)

    def update_code(self, params: Params, context: RequestContext) -> Params:
        function = self._unqualified(params, context)
        _check_revision(function.latest, params)
        code = self._code(params)
        if params.get("DryRun"):
            return shown({**function.latest, **code})
        if params.get("Architectures"):
            code["Architectures"] = params["Architectures"]
        function.latest |= {**code, **_touched(context.now)}
        if params.get("Publish"):
            return self._publish(function, "", context.now)
        return shown(function.latest)

    def update_configuration(self, params: Params, context: RequestContext) -> Params:
        function = self._unqualified(params, context)
        _check_revision(function.latest, params)
        if params.get("Role"):
            self._check_role(params["Role"])
        new = configuration.changed(function.latest, params)
        function.latest = {**new, **_touched(context.now)}
        return shown(function.latest)

    def delete(self, params: Params, context: RequestContext) -> Params:
        function, qualifier = self._find(params, context)
        if qualifier is None:
            del self._store.functions[(function.region, function.name)]
        elif qualifier == LATEST:
            raise ServiceError(
                "InvalidParameterValueException",
                "$LATEST version cannot be deleted without deleting the function.",
            )
        elif qualifier not in function.versions:
            raise not_found(function.qualified(qualifier))
        elif any(a["FunctionVersion"] == qualifier for a in function.aliases.values()):
            raise ServiceError(
                "ResourceConflictException",
                f"Version {qualifier} is used by an alias and cannot be deleted.",
                409,
            )
        else:
            del function.versions[qualifier]
        return {"StatusCode": 204}

    def list(self, params: Params, context: RequestContext) -> Params:
        own = [f for (region, _), f in self._store.functions.items() if region == context.region]
        found = [f.latest for f in sorted(own, key=lambda f: f.name)]
        if params.get("FunctionVersion") == "ALL":
            found = [c for f in own for c in (f.latest, *f.versions.values())]
        return {"Functions": [shown(c) for c in found]}

    def publish(self, params: Params, context: RequestContext) -> Params:
        function = self._unqualified(params, context)
        wanted = params.get("CodeSha256")
        if wanted and wanted != function.latest["CodeSha256"]:
            raise ServiceError(
                "InvalidParameterValueException",
                f"CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST "
                f"({function.latest['CodeSha256']}). Please try again with the CodeSHA256 in "
                "$LATEST.",
            )
        _check_revision(function.latest, params)
        return self._publish(function, params.get("Description", ""), context.now)

    def list_versions(self, params: Params, context: RequestContext) -> Params:
        function, _ = self._find(params, context)
        latest = {**function.latest, "FunctionArn": function.qualified(LATEST)}
        return {"Versions": [shown(c) for c in (latest, *function.versions.values())]}

    def create_alias(self, params: Params, context: RequestContext) -> Params:
        function, _ = self._find(params, context)
        name = params["Name"]
        if name in function.aliases:
            raise ServiceError(
                "ResourceConflictException",
                f"Alias already exists: {function.qualified(name)}",
                409,
            )
        return self._put_alias(function, name, params)

    def update_alias(self, params: Params, context: RequestContext) -> Params:
        function, alias = self._alias(params, context)
        return self._put_alias(function, params["Name"], {**alias, **params})

    def get_alias(self, params: Params, context: RequestContext) -> Params:
        return self._alias(params, context)[1]

    def list_aliases(self, params: Params, context: RequestContext) -> Params:
        return {"Aliases": list(self._find(params, context)[0].aliases.values())}

    def delete_alias(self, params: Params, context: RequestContext) -> Params:
        self._find(params, context)[0].aliases.pop(params["Name"], None)
        return {}

    def _find(self, params: Params, context: RequestContext) -> tuple[Function, str | None]:
        return self._store.find(params["FunctionName"], context.region, params.get("Qualifier"))

    def _unqualified(self, params: Params, context: RequestContext) -> Function:
        """The function whose newest code and configuration are meant."""
        function, qualifier = self._find(params, context)
        if qualifier not in (None, LATEST):
            raise configuration.refused(
                f"The operation cannot be performed on the published version or alias {qualifier}; "
                "only $LATEST can change."
            )
        return function

    def _alias(self, params: Params, context: RequestContext) -> tuple[Function, Config]:
        function, _ = self._find(params, context)
        alias = function.aliases.get(params["Name"])
        if alias is None:
            raise ServiceError(
                "ResourceNotFoundException",
                f"Cannot find alias arn: {function.qualified(params['Name'])}",
                404,
            )
        return function, alias

    def _put_alias(self, function: Function, name: str, params: Params) -> Params:
        if params.get("RoutingConfig"):
            raise configuration.refused("the local cloud does not split an alias's traffic")
        function.config(params["FunctionVersion"])
        function.aliases[name] = {
            "AliasArn": function.qualified(name),
            "Name": name,
            "FunctionVersion": params["FunctionVersion"],
            "Description": params.get("Description", ""),
            "RevisionId": str(uuid.uuid4()),
        }
        return function.aliases[name]

    def _publish(self, function: Function, description: str, now: datetime) -> Params:
        """A new version, unless nothing changed since the last one."""
        latest = function.latest
        last = list(function.versions.values())[-1:]
        if last and last[0]["_published_from"] == latest["RevisionId"]:
            return shown(last[0])
        version = str(function.next_version)
        function.next_version += 1
        function.versions[version] = {
            **latest,
            "Version": version,
            "FunctionArn": function.qualified(version),
            "_published_from": latest["RevisionId"],
            **_touched(now),
            **({"Description": description} if description else {}),
        }
        return shown(function.versions[version])

    def _described(self, function: Function, config: Config, qualifier: str | None) -> Params:
        return {**shown(config), "FunctionArn": function.qualified(qualifier)}

    def _check_role(self, role: str) -> None:
        if not self._aws.trusted(role, PRINCIPAL):
            raise configuration.refused(
                "The role defined for the function cannot be assumed by Lambda."
            )

    def _code(self, params: Params) -> Config:
        if params.get("ImageUri"):
            raise configuration.refused("the local cloud does not run container images")
        if params.get("ZipFile"):
            content = params["ZipFile"]
        elif params.get("S3Bucket") and params.get("S3Key"):
            content = self._from_s3(params)
        else:
            raise configuration.refused("Please provide a source for function code.")
        name, sha = self._packages.put(content)
        return {"_code": name, "CodeSha256": sha, "CodeSize": len(content)}

    def _from_s3(self, params: Params) -> bytes:
        if params.get("S3ObjectVersion"):
            raise configuration.refused("the local cloud reads only the newest version of the code")
        try:
            return self._s3.get_object(f"s3://{params['S3Bucket']}/{params['S3Key']}")
        except ServiceError as error:
            raise configuration.refused(
                f"Error occurred while GetObject. S3 Error Code: {error.code}. "
                f"S3 Error Message: {error.message}"
            ) from None


def _touched(now: datetime) -> Config:
    return {
        "LastModified": now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}+0000",
        "RevisionId": str(uuid.uuid4()),
        "LastUpdateStatus": "Successful",
    }


def _check_revision(config: Config, params: Params) -> None:
    wanted = params.get("RevisionId")
    if wanted and wanted != config["RevisionId"]:
        raise ServiceError(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the "
            "GetFunction/GetAlias API to retrieve the latest Revision Id",
            412,
        )

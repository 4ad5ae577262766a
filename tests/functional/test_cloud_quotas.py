"""Quotas of the local account, as boto3 asks for them; they are there again after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.functional.conftest import running_cloud

NAME = "ml.c7i.large for endpoint usage"


def test_quotas_are_listed_raised_and_kept(tmp_path: Path) -> None:
    with running_cloud(tmp_path) as cloud:
        quotas = cloud.client("service-quotas")
        pages = quotas.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
        found = {q["QuotaName"]: q for page in pages for q in page["Quotas"]}
        code = found[NAME]["QuotaCode"]
        assert (found[NAME]["Value"], len(found) > 100) == (40.0, True)

        with pytest.raises(ClientError, match=r"IllegalArgument.*greater than the current quota"):
            quotas.request_service_quota_increase(
                ServiceCode="sagemaker", QuotaCode=code, DesiredValue=40
            )
        answer = quotas.request_service_quota_increase(
            ServiceCode="sagemaker", QuotaCode=code, DesiredValue=64
        )
        assert answer["RequestedQuota"]["Status"] == "APPROVED"
        with pytest.raises(ClientError, match=r"NoSuchResource.*quota does not exist"):
            quotas.get_service_quota(ServiceCode="sagemaker", QuotaCode="L-00000000")
        with pytest.raises(ClientError, match=r"NoSuchResource.*service does not exist"):
            quotas.list_service_quotas(ServiceCode="ec2")

    with running_cloud(tmp_path) as cloud:
        quotas = cloud.client("service-quotas")
        kept = quotas.get_service_quota(ServiceCode="sagemaker", QuotaCode=code)["Quota"]["Value"]
        default = quotas.get_aws_default_service_quota(ServiceCode="sagemaker", QuotaCode=code)
        assert (kept, default["Quota"]["Value"]) == (64.0, 40.0)

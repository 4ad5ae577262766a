"""aws.iam.getPolicyDocument and the other functions that ask nothing of AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.provider import functions
from localcloud.provider.configuration import Settings
from localcloud.provider.errors import UnknownTypeError
from localcloud.provider.policy_document import ArgumentError, policy_document
from localcloud.provider.session import Clients, Session


def session() -> Session:
    return Session(Settings("eu-west-1"), Clients("http://127.0.0.1:1"))


def test_a_document_reads_as_the_real_provider_writes_it() -> None:
    found = policy_document(
        {
            "statements": [
                {
                    "sid": "Read",
                    "actions": ["s3:GetObject", "s3:ListBucket"],
                    "resources": ["arn:aws:s3:::b/&{aws:username}"],
                    "principals": [{"type": "AWS", "identifiers": ["*"]}],
                    "conditions": [
                        {"test": "StringLike", "variable": "s3:prefix", "values": ["b", "a"]}
                    ],
                }
            ]
        }
    )
    assert found["json"] == (
        """{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Read",
      "Effect": "Allow",
      "Action": [
        "s3:ListBucket",
        "s3:GetObject"
      ],
      "Resource": "arn:aws:s3:::b/${aws:username}",
      "Principal": {
        "AWS": "*"
      },
      "Condition": {
        "StringLike": {
          "s3:prefix": [
            "b",
            "a"
          ]
        }
      }
    }
  ]
}"""
    )
    assert json.loads(found["minifiedJson"]) == json.loads(found["json"])
    assert found["id"].isdigit()


def test_everyone_is_a_bare_star() -> None:
    statement = {"actions": ["s3:*"], "principals": [{"type": "*", "identifiers": ["*"]}]}
    found = json.loads(policy_document({"statements": [statement]})["json"])
    assert found["Statement"][0]["Principal"] == "*"


def test_documents_merge_by_sid() -> None:
    def text(*statements: dict[str, Any]) -> str:
        return json.dumps({"Version": "2008-10-17", "Statement": list(statements)})

    found = json.loads(
        policy_document(
            {
                "sourcePolicyDocuments": [text({"Sid": "A", "Action": "x"}, {"Action": "y"})],
                "statements": [{"sid": "A", "actions": ["own"]}],
                "overridePolicyDocuments": [text({"Sid": "A", "Action": "last"})],
            }
        )["json"]
    )
    assert found["Version"] == "2012-10-17"
    assert [s["Action"] for s in found["Statement"]] == ["last", "y"]


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"version": "2020-01-01"}, "version"),
        ({"statements": [{"effect": "Maybe"}]}, "statements[0].effect"),
        ({"statements": [{"sid": "not ok"}]}, "statements[0].sid"),
        ({"statements": [{"sid": "A"}, {"sid": "A"}]}, "statements"),
        ({"statements": [{"action": ["x"]}]}, "statements[0]"),
        ({"sourcePolicyDocuments": ["{"]}, "sourcePolicyDocuments"),
        ({"sourceJson": "{}"}, "sourceJson"),
        ({"version": "2008-10-17", "statements": [{"resources": ["&{a}"]}]}, "statements[0]"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], argument: str) -> None:
    with pytest.raises(ArgumentError) as error:
        policy_document(arguments)
    assert error.value.argument == argument


def test_region_and_partition_come_from_tables() -> None:
    region = functions.invoke("aws:index/getRegion:getRegion", {}, session())
    assert region["region"] == "eu-west-1"
    assert region["description"] == "Europe (Ireland)"
    assert region["endpoint"] == "ec2.eu-west-1.amazonaws.com"
    partition = functions.invoke("aws:index/getPartition:getPartition", {}, session())
    assert partition["dnsSuffix"] == "amazonaws.com"
    with pytest.raises(ArgumentError, match="region not found"):
        functions.invoke("aws:index/getRegion:getRegion", {"region": "mars-1"}, session())
    with pytest.raises(ArgumentError, match="unknown key"):
        functions.invoke("aws:index/getRegion:getRegion", {"colour": "red"}, session())


def test_an_unknown_function_says_so() -> None:
    with pytest.raises(UnknownTypeError, match="aws:ec2/getAmi:getAmi is not emulated"):
        functions.invoke("aws:ec2/getAmi:getAmi", {}, session())

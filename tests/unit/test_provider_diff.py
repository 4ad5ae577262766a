"""Diff: what changes, what that replaces, and what is the same though it reads differently."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.provider import paths
from localcloud.provider.diff import Difference, Kind, diff, restore_ignored
from localcloud.provider.equivalence import same_json, same_policy
from localcloud.provider.inputs import followed, imported
from localcloud.provider.schema import ResourceType, all_types, resource_type
from localcloud.provider.values import ASSET, DEFAULTS_KEY, UNKNOWN, Asset

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
BUCKET = "aws:s3/bucket:Bucket"
CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
ENCRYPTION = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
)
MODEL = "aws:sagemaker/model:Model"
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"
ROLE = "aws:iam/role:Role"


def contract(token: str) -> ResourceType:
    found = resource_type(token)
    assert found is not None
    return found


def run(token: str, state: dict[str, Any], news: dict[str, Any], *ignored: str) -> Difference:
    return diff(contract(token), state, news, ignored)


def shown(found: Difference) -> dict[str, tuple[str, bool]]:
    return {paths.text(c.path): (c.kind.value, c.replaces) for c in found.changes}


def test_equal_values_are_no_change() -> None:
    state = {"threshold": 5, "name": "a", "arn": "x", "tags": {}, "alarmDescription": ""}
    assert run(ALARM, state, {"threshold": 5.0, "name": "a"}).changes == ()


def test_a_value_the_cloud_keeps_may_be_left_out() -> None:
    state = {"bucket": "b", "objectLockEnabled": True}
    assert run(BUCKET, state, {"bucket": "b"}).changes == ()


def test_a_value_that_goes_away_is_deleted() -> None:
    found = run(ALARM, {"alarmDescription": "x"}, {})
    assert shown(found) == {"alarmDescription": ("delete", False)}


def test_what_cannot_change_replaces() -> None:
    found = run(BUCKET, {"bucket": "a"}, {"bucket": "b", DEFAULTS_KEY: ["bucket"]})
    assert shown(found) == {"bucket": ("update", True)}
    assert found.replaces == ["bucket"]
    assert not found.delete_before_replace


def test_a_name_of_the_program_deletes_before_it_replaces() -> None:
    news = {"name": "a", "path": "/b/", DEFAULTS_KEY: []}
    assert run(ROLE, {"name": "a", "path": "/a/"}, news).delete_before_replace
    made = {**news, DEFAULTS_KEY: ["name"]}
    assert not run(ROLE, {"name": "a", "path": "/a/"}, made).delete_before_replace
    same = {"name": "a", "path": "/a/", DEFAULTS_KEY: []}
    assert not run(ROLE, {"name": "a", "path": "/a/"}, same).delete_before_replace


def test_a_leaf_deep_inside_replaces() -> None:
    state = {"productionVariants": [{"variantName": "live", "initialInstanceCount": 1}]}
    news = {"productionVariants": [{"variantName": "live", "initialInstanceCount": 2}]}
    assert shown(run(CONFIGURATION, state, news)) == {
        "productionVariants[0].initialInstanceCount": ("update", True)
    }


def test_an_added_block_replaces_by_its_leaves() -> None:
    news = {"primaryContainer": {"image": "x"}}
    assert shown(run(MODEL, {}, news)) == {"primaryContainer": ("add", True)}


def test_an_endpoint_moves_to_another_configuration_in_place() -> None:
    state = {"name": "e", "endpointConfigName": "one"}
    found = run(ENDPOINT, state, {"name": "e", "endpointConfigName": "two", DEFAULTS_KEY: []})
    assert shown(found) == {"endpointConfigName": ("update", False)}
    assert not found.delete_before_replace


def test_adding_rollback_alarms_replaces_an_endpoint() -> None:
    policy = {"rollingUpdatePolicy": {"waitIntervalInSeconds": 5}}
    alarms = {"autoRollbackConfiguration": {"alarms": [{"alarmName": "a"}]}}
    found = run(ENDPOINT, {"deploymentConfig": policy}, {"deploymentConfig": {**policy, **alarms}})
    assert found.replaces == ["deploymentConfig"]
    other = {"autoRollbackConfiguration": {"alarms": [{"alarmName": "b"}]}}
    inside = run(
        ENDPOINT,
        {"deploymentConfig": {**policy, **alarms}},
        {"deploymentConfig": {**policy, **other}},
    )
    assert inside.changes
    assert inside.replaces == []


def test_an_unknown_value_is_a_change_and_replaces_where_it_could() -> None:
    assert shown(run(ALARM, {"threshold": 1}, {"threshold": UNKNOWN})) == {
        "threshold": ("update", False)
    }
    assert run(MODEL, {"executionRoleArn": "a"}, {"executionRoleArn": UNKNOWN}).replaces


def test_the_order_of_a_set_does_not_count() -> None:
    arns = [f"arn:aws:sns:eu-west-1:123456789012:{n}" for n in "abc"]
    assert run(ALARM, {"alarmActions": arns}, {"alarmActions": arns[::-1]}).changes == ()
    found = run(ALARM, {"alarmActions": arns}, {"alarmActions": arns[1:]})
    assert shown(found) == {"alarmActions[0]": ("delete", False)}


def test_absent_and_empty_are_the_same_inside_a_set() -> None:
    default = {"sseAlgorithm": "AES256"}
    state = {"rules": [{"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": False}]}
    assert run(ENCRYPTION, state, {"rules": [{"applyServerSideEncryptionByDefault": default}]}) == (
        Difference((), False)
    )


def test_assets_are_compared_by_hash() -> None:
    old = Asset(ASSET, {"path": "/one", "hash": "abc"})
    moved = Asset(ASSET, {"path": "/two", "hash": "abc"})
    other = Asset(ASSET, {"path": "/one", "hash": "def"})
    assert run(OBJECT, {"source": old}, {"source": moved}).changes == ()
    assert shown(run(OBJECT, {"source": old}, {"source": other})) == {"source": ("update", False)}


def test_ignored_paths_do_not_count_and_keep_their_state() -> None:
    state = {"endpointConfigName": "live", "tags": {"a": "1", "b": "1"}}
    news = {"endpointConfigName": "target", "tags": {"a": "2", "b": "2"}}
    found = run(ENDPOINT, state, news, "endpointConfigName", "tags.a")
    assert shown(found) == {"tags.b": ("update", False)}
    restored = restore_ignored(news, state, ["endpointConfigName", 'tags["a"]'])
    assert restored == {"endpointConfigName": "live", "tags": {"a": "1", "b": "2"}}
    assert news["tags"]["a"] == "2"


def test_a_tag_with_a_dot_has_a_quoted_path() -> None:
    found = run(ALARM, {"tags": {"a.b": "1"}}, {"tags": {"a.b": "2"}})
    assert shown(found) == {'tags["a.b"]': ("update", False)}
    assert paths.parse('tags["a.b"][0].c') == ("tags", "a.b", 0, "c")


def test_texts_that_mean_the_same_are_no_change() -> None:
    one = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["a", "b"]}}
    two = {"Statement": [{"Action": ["b", "a"], "Effect": "Allow"}], "Version": "2012-10-17"}
    state, news = {"assumeRolePolicy": json.dumps(one)}, {"assumeRolePolicy": json.dumps(two)}
    assert run(ROLE, state, news).changes == ()
    key = "aws:kms/alias:Alias"
    arn = "arn:aws:kms:eu-west-1:123456789012:key/abc"
    assert run(key, {"targetKeyId": "abc"}, {"targetKeyId": arn}).changes == ()


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ({"Action": "s3:Get"}, {"Action": ["s3:Get"]}, True),
        ({"Action": ["a", "b"]}, {"Action": ["b", "a"]}, True),
        ({"Action": "a"}, {"Action": "b"}, False),
        ({"Principal": "*"}, {"Principal": {"AWS": "*"}}, True),
        (
            {"Principal": {"AWS": "123456789012"}},
            {"Principal": {"AWS": ["arn:aws:iam::123456789012:root"]}},
            True,
        ),
        ({"Effect": "Allow"}, {"Effect": "Deny"}, False),
        (
            {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Condition": {"Bool": {"aws:SecureTransport": [False]}}},
            True,
        ),
        (
            {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
            False,
        ),
        ({"Sid": "", "Action": "a"}, {"Action": "a"}, True),
    ],
)
def test_policies_are_compared_by_what_they_grant(
    old: dict[str, Any], new: dict[str, Any], same: bool
) -> None:
    def document(statement: dict[str, Any]) -> str:
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    assert same_policy(document(old), document(new)) is same


def test_an_empty_policy_is_no_policy_and_bad_json_is_only_itself() -> None:
    assert same_policy("", "{}")
    assert not same_policy("{", "{}")
    assert same_json('{"a": 1}', '{ "a":1 }')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_json_equals_itself_however_it_is_laid_out(value: Any) -> None:
    assert same_json(json.dumps(value), json.dumps(value, indent=3, sort_keys=True))


@given(
    st.sampled_from(sorted(all_types())),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5)),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_state_never_differs_from_itself(token: str, tags: dict[str, str], number: float) -> None:
    values: dict[str, Any] = {"string": "x", "integer": 3, "number": number, "boolean": True}
    state: dict[str, Any] = {"tags": tags}
    for name, prop in contract(token).inputs.items():
        if prop.element in values and not prop.container:
            state[name] = values[prop.element]
    assert diff(contract(token), state, state).changes == ()


def test_inputs_follow_drift_and_keep_what_means_the_same() -> None:
    inputs = {
        "name": "a",
        "threshold": 5,
        "alarmActions": ["b", "a"],
        "treatMissingData": "missing",
        DEFAULTS_KEY: ["name", "treatMissingData"],
    }
    state = {
        "name": "a",
        "arn": "arn",
        "threshold": 9,
        "alarmActions": ["a", "b"],
        "treatMissingData": "ignore",
        "alarmDescription": "by hand",
        "evaluateLowSampleCountPercentiles": "ignore",
    }
    assert followed(contract(ALARM), inputs, state) == {
        "name": "a",
        "threshold": 9,
        "alarmActions": ["b", "a"],
        "treatMissingData": "ignore",
        "alarmDescription": "by hand",
        DEFAULTS_KEY: ["name"],
    }


def test_a_zero_that_is_required_is_recovered() -> None:
    routing = {"type": "ALL_AT_ONCE", "waitIntervalInSeconds": 0}
    policy = {"trafficRoutingConfiguration": routing, "terminationWaitInSeconds": 0}
    state = {"name": "e", "deploymentConfig": {"blueGreenUpdatePolicy": policy}}
    found = followed(contract(ENDPOINT), {"name": "e"}, state)["deploymentConfig"]
    assert found["blueGreenUpdatePolicy"]["trafficRoutingConfiguration"] == {
        **routing,
        DEFAULTS_KEY: [],
    }


def test_inputs_lose_what_the_cloud_lost() -> None:
    inputs = {"name": "a", "alarmDescription": "x", "tags": {"a": "1", "b": "2"}}
    state = {"name": "a", "tags": {"a": "1"}}
    assert followed(contract(ALARM), inputs, state) == {"name": "a", "tags": {"a": "1"}}


def test_an_import_describes_what_was_found_without_its_defaults() -> None:
    state = {
        "name": "a",
        "namePrefix": "a",
        "path": "/",
        "assumeRolePolicy": "{}",
        "arn": "arn",
        "description": "",
        "tags": {},
    }
    assert imported(contract(ROLE), state) == {
        "name": "a",
        "assumeRolePolicy": "{}",
        DEFAULTS_KEY: [],
    }


def test_kinds_have_the_words_of_the_protocol() -> None:
    assert [kind.value for kind in Kind] == ["add", "delete", "update"]

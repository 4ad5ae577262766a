"""Which handler does which resource type."""

from __future__ import annotations

from localcloud.provider.resources import (
    appautoscaling,
    cloudwatch,
    codebuild,
    ecr,
    events,
    iam,
    kms,
    lambda_,
    logs,
    s3_bucket,
    s3_object,
    s3_settings,
    sagemaker,
    sagemaker_endpoint,
    sfn,
    sns,
)
from localcloud.provider.resources.base import Resource

RESOURCES: dict[str, Resource] = {
    resource.token: resource
    for resource in (
        appautoscaling.Policy(),
        appautoscaling.Target(),
        cloudwatch.CompositeAlarm(),
        cloudwatch.Dashboard(),
        cloudwatch.MetricAlarm(),
        codebuild.Project(),
        ecr.Repository(),
        events.EventRule(),
        events.EventTarget(),
        iam.Role(),
        iam.RolePolicy(),
        iam.RolePolicyAttachment(),
        kms.Alias(),
        kms.Key(),
        lambda_.Function(),
        lambda_.Permission(),
        logs.LogGroup(),
        s3_bucket.Bucket(),
        s3_object.BucketObject(),
        s3_settings.BucketEncryption(),
        s3_settings.BucketLifecycle(),
        s3_settings.BucketOwnershipControls(),
        s3_settings.BucketPolicy(),
        s3_settings.BucketPublicAccessBlock(),
        s3_settings.BucketVersioning(),
        sagemaker.EndpointConfiguration(),
        sagemaker.Model(),
        sagemaker_endpoint.Endpoint(),
        sfn.StateMachine(),
        sns.Topic(),
        sns.TopicPolicy(),
        sns.TopicSubscription(),
    )
}

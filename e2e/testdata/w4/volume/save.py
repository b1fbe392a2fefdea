"""Saves the database's volume before its instance ends: what the terminating hook is for.

A topic calls it with the hook's messages. It takes the address from the instance, so that nobody writes what would be lost,
makes a snapshot of the newest volume with the tag Name=database, and lets the group go on. The instance may have been
killed; the volume is there all the same."""

import json
import time

import aws

DATABASE = {"Filter.1.Name": "tag:Name", "Filter.1.Value.1": "database"}


def handler(event, context):
    action = json.loads(event["Records"][0]["Sns"]["Message"])
    if action.get("LifecycleTransition") != "autoscaling:EC2_INSTANCE_TERMINATING":
        return  # the message with which the group tries out a new hook
    disconnect(action["EC2InstanceId"])
    snapshot = save()
    print("the rows of", action["EC2InstanceId"], "are in", snapshot)
    aws.call("autoscaling", "CompleteLifecycleAction", {
        "AutoScalingGroupName": action["AutoScalingGroupName"], "LifecycleHookName": action["LifecycleHookName"],
        "LifecycleActionToken": action["LifecycleActionToken"], "LifecycleActionResult": "CONTINUE",
    })


def disconnect(instance):
    for address in aws.call("ec2", "DescribeAddresses", DATABASE).findall(".//addressesSet/item"):
        if address.findtext("instanceId") == instance:
            aws.call("ec2", "DisassociateAddress", {"AssociationId": address.findtext("associationId")})


def save():
    """Returns the ID of a snapshot, as soon as volumes can be made of it."""
    volumes = aws.call("ec2", "DescribeVolumes", DATABASE).findall(".//volumeSet/item")
    newest = max(volumes, key=lambda volume: volume.findtext("createTime"))
    snapshot = aws.call("ec2", "CreateSnapshot", {
        "VolumeId": newest.findtext("volumeId"), "TagSpecification.1.ResourceType": "snapshot",
        "TagSpecification.1.Tag.1.Key": "Name", "TagSpecification.1.Tag.1.Value": "database",
    }).findtext("snapshotId")
    while aws.call("ec2", "DescribeSnapshots", {"SnapshotId.1": snapshot}).findtext(".//status") != "completed":
        time.sleep(0.05)
    return snapshot

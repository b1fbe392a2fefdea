"""Gives a new instance the database's volume: what the launching hook is for.

A rule calls it with the event of the hook. It makes a volume of the newest snapshot with the tag Name=database in the
instance's zone (an empty one if there is none), attaches it as /dev/sdf, and lets the group go on."""

import time

import aws


def handler(event, context):
    action = event["detail"]
    group, instance = action["AutoScalingGroupName"], action["EC2InstanceId"]
    while saving(group):
        time.sleep(0.05)
    volume = make(aws.call("ec2", "DescribeInstances", {"InstanceId.1": instance}).findtext(".//placement/availabilityZone"))
    aws.call("ec2", "AttachVolume", {"VolumeId": volume, "InstanceId": instance, "Device": "/dev/sdf"})
    wait(volume, "in-use")
    print(instance, "has", volume)
    aws.call("autoscaling", "CompleteLifecycleAction", {
        "AutoScalingGroupName": group, "LifecycleHookName": action["LifecycleHookName"],
        "LifecycleActionToken": action["LifecycleActionToken"], "LifecycleActionResult": "CONTINUE",
    })


def saving(group):
    """Whether the terminating hook of another instance is not through yet: there will be a newer snapshot."""
    members = aws.call("autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames.member.1": group}).findall(".//Instances/member")
    return any(member.findtext("LifecycleState") in ("Terminating", "Terminating:Wait") for member in members)


def make(zone):
    """Returns the ID of the new volume, as soon as it can be attached."""
    snapshots = aws.call("ec2", "DescribeSnapshots", {
        "Filter.1.Name": "tag:Name", "Filter.1.Value.1": "database", "Filter.2.Name": "status", "Filter.2.Value.1": "completed",
    }).findall(".//snapshotSet/item")
    source = {"Size": "1"}
    if snapshots:
        source = {"SnapshotId": max(snapshots, key=lambda snapshot: snapshot.findtext("startTime")).findtext("snapshotId")}
    volume = aws.call("ec2", "CreateVolume", {
        "AvailabilityZone": zone, "TagSpecification.1.ResourceType": "volume",
        "TagSpecification.1.Tag.1.Key": "Name", "TagSpecification.1.Tag.1.Value": "database", **source,
    }).findtext("volumeId")
    print(volume, "in", zone, "is made of", source)
    wait(volume, "available")
    return volume


def wait(volume, state):
    while aws.call("ec2", "DescribeVolumes", {"VolumeId.1": volume}).findtext(".//volumeSet/item/status") != state:
        time.sleep(0.05)

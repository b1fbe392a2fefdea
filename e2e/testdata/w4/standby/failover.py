"""Moves an Elastic IP from a server that ended or is too busy to its standby, which it starts if that does not run.

A rule on EC2's state changes and alarms on CPU call it. Both servers have the tag Name=web; ADDRESS in the environment is
the allocation ID of the address."""

import os
import time

import aws


def handler(event, context):
    failed = subject(event)
    print(event.get("detail-type") or event["alarmArn"], "about", failed)
    address = aws.call("ec2", "DescribeAddresses", {"AllocationId.1": os.environ["ADDRESS"]})
    holder = address.findtext(".//instanceId")
    if holder and holder != failed:
        return f"{holder} has the address"  # the event is about a standby, or the second one about the same failure
    standby = started(failed)
    aws.call("ec2", "AssociateAddress", {"AllocationId": os.environ["ADDRESS"], "InstanceId": standby, "AllowReassociation": "true"})
    return f"{standby} has the address now"


def subject(event):
    """The instance that an event of EC2 or an alarm is about."""
    if "detail" in event:
        return event["detail"]["instance-id"]
    return event["alarmData"]["configuration"]["metrics"][0]["metricStat"]["metric"]["dimensions"]["InstanceId"]


def started(failed):
    """The ID of the standby, as soon as it runs."""
    while True:
        answer = aws.call("ec2", "DescribeInstances", {
            "Filter.1.Name": "tag:Name", "Filter.1.Value.1": "web",
            "Filter.2.Name": "instance-state-name", "Filter.2.Value.1": "pending", "Filter.2.Value.2": "running",
            "Filter.2.Value.3": "stopping", "Filter.2.Value.4": "stopped",
        })
        states = {i.findtext("instanceId"): i.findtext("instanceState/name") for i in answer.findall(".//instancesSet/item")}
        states.pop(failed, None)
        standby, state = next(iter(states.items()))
        if state == "running":
            return standby
        if state == "stopped":
            aws.call("ec2", "StartInstances", {"InstanceId.1": standby})
        time.sleep(0.02)

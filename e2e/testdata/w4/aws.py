"""The AWS API for functions on hosts without boto3: what its query protocol is asked, signed with the function's credentials."""

import datetime
import hashlib
import hmac
import os
import re
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree

VERSIONS = {"ec2": "2016-11-15", "autoscaling": "2011-01-01"}


def call(service, action, parameters):
    """Makes a call, with members of lists as the protocol has them ({"InstanceId.1": "i-1"}), and returns the answer's XML,
    without name spaces. What is refused raises RuntimeError with the answer as its text."""
    region = os.environ["AWS_REGION"]
    url = os.environ.get("AWS_ENDPOINT_URL", f"https://{service}.{region}.amazonaws.com")
    body = urllib.parse.urlencode({"Action": action, "Version": VERSIONS[service], **parameters}).encode()
    request = urllib.request.Request(url + "/", body, signed(service, region, urllib.parse.urlsplit(url).netloc, body))
    try:
        answer = urllib.request.urlopen(request, timeout=30).read().decode()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{action}: {error.read().decode()}") from None
    return xml.etree.ElementTree.fromstring(re.sub(' xmlns="[^"]*"', "", answer))


def signed(service, region, host, body):
    """The headers of a request to /, with its signature (version 4)."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "host": host,
        "x-amz-date": now,
        "x-amz-security-token": os.environ["AWS_SESSION_TOKEN"],
    }
    names = ";".join(headers)  # they are in order
    lines = [f"{name}:{value}" for name, value in headers.items()]
    canonical = "\n".join(["POST", "/", "", *lines, "", names, hashlib.sha256(body).hexdigest()])
    scope = [now[:8], region, service, "aws4_request"]
    text = "\n".join(["AWS4-HMAC-SHA256", now, "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    credential = "/".join([os.environ["AWS_ACCESS_KEY_ID"], *scope])
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return headers

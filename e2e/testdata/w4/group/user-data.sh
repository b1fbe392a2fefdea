#!/bin/sh -e
# Serves the instance's ID on port 80, and takes over the Elastic IP with the tag Name=web.
# Versions of the AWS CLI before 2.13 do not read AWS_ENDPOINT_URL.
aws="/usr/bin/aws ${AWS_ENDPOINT_URL:+--endpoint-url $AWS_ENDPOINT_URL} --output text"
metadata=http://169.254.169.254/latest
token=$(curl -sS -m 10 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 600' $metadata/api/token)
id=$(curl -sS -m 10 -H "X-aws-ec2-metadata-token: $token" $metadata/meta-data/instance-id)

mkdir -p /srv/www
echo $id >/srv/www/index.html
python3 -m http.server -d /srv/www 80 >/var/log/web.log 2>&1 &

# Both programs start at the same time; the second reads the allocation ID when the first has found it.
$aws ec2 describe-addresses --filters Name=tag:Name,Values=web --query 'Addresses[0].AllocationId' | tr -d '\n' |
	$aws ec2 associate-address --allocation-id file:///dev/stdin --instance-id $id --allow-reassociation

# Until user data has ended the instance is not held to its share of the processor.
until curl -sf -m 1 -o /dev/null http://127.0.0.1/; do sleep 0.02; done

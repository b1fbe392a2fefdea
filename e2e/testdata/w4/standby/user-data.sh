#!/bin/sh -e
# Serves the instance's ID on port 80, at every boot: a standby is stopped and started.
mkdir -p /var/lib/cloud/scripts/per-boot
cat >/var/lib/cloud/scripts/per-boot/web <<'SCRIPT'
#!/bin/sh -e
metadata=http://169.254.169.254/latest
token=$(curl -sS -m 10 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 600' $metadata/api/token)
mkdir -p /srv/www
curl -sS -m 10 -H "X-aws-ec2-metadata-token: $token" -o /srv/www/index.html $metadata/meta-data/instance-id
python3 -m http.server -d /srv/www 80 >/var/log/web.log 2>&1 &
until curl -sf -m 1 -o /dev/null http://127.0.0.1/; do sleep 0.02; done
SCRIPT
chmod +x /var/lib/cloud/scripts/per-boot/web
/var/lib/cloud/scripts/per-boot/web

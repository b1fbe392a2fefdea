#!/bin/sh -e
# A database on a volume, served on port 80: POST adds a row, GET lists all. It takes over the Elastic IP with the tag
# Name=database. Versions of the AWS CLI before 2.13 do not read AWS_ENDPOINT_URL.
aws="/usr/bin/aws ${AWS_ENDPOINT_URL:+--endpoint-url $AWS_ENDPOINT_URL} --output text"
metadata=http://169.254.169.254/latest
token=$(curl -sS -m 10 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 600' $metadata/api/token)
id=$(curl -sS -m 10 -H "X-aws-ec2-metadata-token: $token" $metadata/meta-data/instance-id)

# The function of the launching hook attaches the volume meanwhile. The very first one is empty.
until [ -b /dev/sdf ]; do sleep 0.05; done
blkid /dev/sdf || mkfs.ext4 -q /dev/sdf
mkdir /data
mount /dev/sdf /data

cat >/usr/local/bin/database <<'PROGRAM'
#!/usr/bin/python3
import http.server
import sqlite3

rows = sqlite3.connect("/data/rows", isolation_level=None)
rows.execute("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer("".join(text + "\n" for (text,) in rows.execute("SELECT text FROM rows ORDER BY id")))

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        rows.execute("INSERT INTO rows (text) VALUES (?)", [text])  # on the disk when it returns
        self.answer("written\n")

    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


http.server.HTTPServer(("", 80), Handler).serve_forever()
PROGRAM
chmod +x /usr/local/bin/database
database >/var/log/database.log 2>&1 &
until curl -sf -m 1 -o /dev/null http://127.0.0.1/; do sleep 0.02; done

# Both programs start at the same time; the second reads the allocation ID when the first has found it.
$aws ec2 describe-addresses --filters Name=tag:Name,Values=database --query 'Addresses[0].AllocationId' | tr -d '\n' |
	$aws ec2 associate-address --allocation-id file:///dev/stdin --instance-id $id --allow-reassociation

"""Answers as the metadata services of three clouds do, on 169.254.169.254, and refuses who does not ask as they want it."""

from http.server import BaseHTTPRequestHandler, HTTPServer

AWS_TOKEN = "a-token-for-a-minute"
GCP = "/computeMetadata/v1/instance/network-interfaces/0/access-configs/0/external-ip"
AZURE = "/metadata/instance/network/interface/0/ipv4/ipAddress/0/publicIpAddress?"


class Metadata(BaseHTTPRequestHandler):
    def answer(self, good, text):
        self.send_response(200 if good else 401)
        self.end_headers()
        self.wfile.write(text.encode() if good else b"no")

    def do_PUT(self):
        lifetime = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "0")
        self.answer(self.path == "/latest/api/token" and 0 < int(lifetime) <= 21600, AWS_TOKEN)

    def do_GET(self):
        if self.path == "/latest/meta-data/public-ipv4":
            self.answer(self.headers.get("X-aws-ec2-metadata-token") == AWS_TOKEN, "203.0.113.1")
        elif self.path == GCP:
            self.answer(self.headers.get("Metadata-Flavor") == "Google", "203.0.113.2")
        elif self.path.startswith(AZURE) and "api-version=" in self.path and "format=text" in self.path:
            self.answer(self.headers.get("Metadata") == "true", "203.0.113.3")
        else:
            self.answer(False, "")


server = HTTPServer(("169.254.169.254", 80), Metadata)
print("ready", flush=True)
server.serve_forever()

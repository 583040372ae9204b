"""Answers pictures over HTTP: POST /predict with the bytes of a .jpg or .png gives JSON.

python3 service.py cat-python --port 8080
curl --data-binary @photo.jpg http://127.0.0.1:8080/predict
"""

import argparse
import io
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOST_BYTES = 16 << 20


def handler(application, plain):
    """Returns a class that answers requests; one run at a time, since the model has one memory."""
    from PIL import Image

    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply(200 if self.path == "/health" else 404, {"ok": self.path == "/health"})

        def do_POST(self):
            size = self.headers.get("Content-Length", "")
            if self.path != "/predict" or not size.isdigit():
                return self.reply(404, {"error": "POST /predict, with Content-Length"})
            if int(size) > MOST_BYTES:
                return self.reply(413, {"error": f"at most {MOST_BYTES} bytes"})
            try:
                picture = Image.open(io.BytesIO(self.rfile.read(int(size))))
                picture.load()
            except Exception as error:  # Pillow raises many kinds, for each format its own
                return self.reply(400, {"error": f"not a picture: {error}"})
            with one_at_a_time:
                answer = application.predict_picture(picture)
            return self.reply(200, plain(answer))

        def reply(self, status, content):
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            """Says nothing for each request."""

    return Handler


def main():
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="what `edgeopt codegen --lang python` wrote")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    args = parser.parse_args()
    sys.path.insert(0, args.folder)
    from application import Application
    from edgeopt_runner.tell import plain

    server = ThreadingHTTPServer((args.host, args.port), handler(Application(), plain))
    print(f"http://{args.host}:{server.server_port}/predict", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

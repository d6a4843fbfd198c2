"""A stand-in for Kaggle: the four calls of its interface that kagglehub makes, for one data set in a local folder."""

import json
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


class Handler(BaseHTTPRequestHandler):
    folder: Path
    asked: list[str]
    broken = 0
    """The first so many downloads end after half of the file."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        match self.path.rpartition("/")[2]:
            case "GetDataset":
                self._json({"currentVersionNumber": 3})
            case "ListDatasetFiles":
                paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
                first = int(request.get("pageToken") or 0)  # two a page, as if there were hundreds
                files = [
                    {"name": path.relative_to(self.folder).as_posix(), "totalBytes": path.stat().st_size}
                    for path in paths[first : first + 2]
                ]
                self._json({"datasetFiles": files, "nextPageToken": str(first + 2) if paths[first + 2 :] else ""})
            case "DownloadDataset":
                self.send_response(302)
                self.send_header("Location", f"/files/{request['fileName']}")
                self.end_headers()

    def do_GET(self):
        name = unquote(self.path.removeprefix("/files/"))
        path = self.folder / name
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.asked.append(f"{name} from {start}")
        self.send_response(206 if start else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if type(self).broken > 0 and name.endswith("ims.npy"):
            type(self).broken -= 1
            content = content[: len(content) // 2]
        self.wfile.write(content[start:])

    def _json(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


os.environ["no_proxy"] = "127.0.0.1,localhost"  # a proxy for the rest of the world must not be asked for this server


@contextmanager
def served(folder: Path):
    """Serve the folder as Kaggle would, and let the SDK of Kaggle ask this server. Yield the handler's class."""
    from kagglesdk import kaggle_env

    handler = type("Served", (Handler,), {"folder": folder, "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoints, real = kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD
        before = endpoints[real]
        endpoints[real] = f"http://127.0.0.1:{server.server_port}"
        try:
            yield handler
        finally:
            endpoints[real] = before
            server.shutdown()

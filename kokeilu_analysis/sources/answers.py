"""Raw answers of an interface as they arrived, kept so that nothing is asked twice."""

import hashlib
import json
from pathlib import Path

from kokeilu_analysis import store


class Answers:
    """Raw answers in a folder: the body, and beside it request, time and SHA-256.

    The record is written after the body, so a body without a record is one that was cut off.
    """

    def __init__(self, folder):
        self.folder = Path(folder)

    def _paths(self, request):
        digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        name = f"{request['what']}_{digest[:16]}"
        return self.folder / f"{name}.answer", self.folder / f"{name}.json"

    def get(self, request):
        """Return the saved answer to the same request, or None if there is no whole one."""
        body, record = self._paths(request)
        try:
            said = json.loads(record.read_text(encoding="utf-8"))
            if said["request"] == request and said["sha256"] == store.sha256(body):
                return body.read_bytes()
        except (OSError, ValueError, KeyError, TypeError):
            pass  # whatever is wrong with what was saved, the server can be asked
        return None

    def put(self, request, content, moment):
        """Save an answer and what belongs to it."""
        body, record = self._paths(request)
        store.write_bytes(body, content)
        digest = hashlib.sha256(content).hexdigest()
        said = {"request": request, "received": moment, "bytes": len(content), "sha256": digest}
        store.write_text(record, json.dumps(said, indent=1, ensure_ascii=False) + "\n")

"""What a server needs besides its own files, and cleaners of temporary files remove: its socket and
the lock of DATA_DIR.

A server cannot create its socket again while it runs, nor inherit another lock:
it is started again.
"""

from __future__ import annotations

from pathlib import Path

from engine.embedded import sockets
from engine.embedded.data_dir import Folder
from engine.processes.program import StartError


class LostFiles:
    """Those of one server, which needs `data`, too. `user`: the one that Postgres runs as."""

    def __init__(self, folder: Folder, socket: Path, data: Path, user: str) -> None:
        self._folder = folder
        self._socket = socket
        self._data = data
        self._user = user
        self._lock = (0, 0)

    def restore(self) -> None:
        """Creates what is missing, before a start. Raises OSError, StartError."""
        self._folder.restore()
        sockets.restore(self._folder.path / "run", self._socket.parent, self._user)
        self._lock = self._folder.lock_id()

    def missing(self) -> str:
        """Tells for what the running server has to be started again. Raises OSError, StartError."""
        self._folder.restore()
        if not self._data.exists():
            # The server still answers from memory, and what it confirms would not last.
            raise StartError(f"{self._data} was removed or moved while the engine ran: restore it")
        if not self._socket.exists():
            return f"{self._socket} was removed"
        if self._lock != self._folder.lock_id():
            return f"{self._folder.path / 'lock'} was removed"
        return ""

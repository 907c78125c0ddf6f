"""`make audit`: the locked dependencies among known vulnerabilities, by pip-audit.

It asks a service on the internet. Where that cannot be reached, or does not know a package, nothing
is known: exit code 2. Exit code 1 is a vulnerability.
"""

from __future__ import annotations

import subprocess
import sys

LOCKS = ("requirements.lock", "requirements-image.lock")
UNREACHED = (
    "ConnectionError", "Max retries", "ServiceError", "timed out", "resolve", "HTTPError",
    "could not be audited",
)  # fmt: skip


def main() -> int:
    """Audit each lock file as it is: nothing is resolved or installed."""
    worst = 0
    for lock in LOCKS:
        # --strict: a package that the service does not know is not one without vulnerabilities.
        command = [sys.executable, "-m", "pip_audit", "--strict", "--requirement", lock]
        done = subprocess.run(
            [*command, "--disable-pip", "--no-deps", "--progress-spinner", "off"],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        output = done.stdout + done.stderr
        if done.returncode and any(word in output for word in UNREACHED):
            print(f"{lock}: not audited: the service cannot be reached, or lacks packages")
            worst = 2
            continue
        print(f"{lock}: {output.strip() or 'no known vulnerabilities'}")
        worst = worst or done.returncode
    return worst


if __name__ == "__main__":
    sys.exit(main())

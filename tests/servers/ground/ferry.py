"""Carries messages from one queue to another."""

import hashlib
import os
import subprocess

SCHEMA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
PASSWORD_MIN = 12
API_KEY = os.environ.get("FERRY_API_KEY", "")


class InvalidPassword(ValueError):
    """The password is too short, or is one of the ten thousand most common."""


def check_password(password: str) -> None:
    if len(password) < PASSWORD_MIN:
        raise InvalidPassword(f"password: at least {PASSWORD_MIN} characters")


def fingerprint(secret: bytes) -> str:
    # Never the secret itself: only what it hashes to.
    return hashlib.sha256(secret).hexdigest()


def connect(host, port=5432, user="ferry", password=None):
    dsn = f"postgresql://{user}:{password}@{host}:{port}/ferry"
    return dsn if password else dsn.replace(":None", "")


def rotate(path):
    subprocess.run(["gzip", "--keep", "--", path], check=True, timeout=60)
    print(f"rotated {path}; delete it with `rm -f {path}`")

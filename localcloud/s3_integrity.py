"""What S3 refuses of an upload whose bytes are not what its headers say; moto takes it.

Only whole bodies: one sent in signed chunks has its checksum behind it. CRC32C and CRC64NVME are
not in Python's library and are believed.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from xml.sax.saxutils import escape

from localcloud.wire import WireAnswer, WireRequest

CHUNKED = "aws-chunked"
_MD5 = "content-md5"
_DIGESTS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    _MD5: ("Content-MD5", lambda body: hashlib.md5(body, usedforsecurity=False).digest()),
    "x-amz-checksum-crc32": ("CRC32", lambda body: zlib.crc32(body).to_bytes(4, "big")),
    "x-amz-checksum-sha1": (
        "SHA1",
        lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    ),
    "x-amz-checksum-sha256": ("SHA256", lambda body: hashlib.sha256(body).digest()),
}


def refusal(request: WireRequest) -> WireAnswer | None:
    """S3's answer to a PUT whose digest is wrong; None where nothing is."""
    if request.method != "PUT" or CHUNKED in request.header("content-encoding"):
        return None
    for header, (name, digest) in _DIGESTS.items():
        given = request.header(header)
        if not given:
            continue
        wanted = digest(request.body)
        try:
            found = base64.b64decode(given, validate=True)
        except ValueError:
            found = b""
        if len(found) != len(wanted):
            if header == _MD5:
                return _error("InvalidDigest", f"The {name} you specified was invalid.")
            return _error("InvalidRequest", f"Value for {header} header is invalid.")
        if found != wanted:
            received = "what we received" if header == _MD5 else "the calculated checksum"
            return _error("BadDigest", f"The {name} you specified did not match {received}.")
    return None


def _error(code: str, message: str) -> WireAnswer:
    xml = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return WireAnswer(400, [("Content-Type", "application/xml")], xml.encode())

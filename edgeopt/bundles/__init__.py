"""Bundles: what goes on the device, as one folder or .zip that checks itself."""

from edgeopt.bundles.golden import GoldenSamples
from edgeopt.bundles.manifest import Manifest, Tolerance
from edgeopt.bundles.read import Bundle, open_bundle, read_bundle
from edgeopt.bundles.sign import sign_bundle, verify_signature
from edgeopt.bundles.write import add_report, write_bundle
from edgeopt.options import Preprocess

__all__ = [
    "Bundle",
    "GoldenSamples",
    "Manifest",
    "Preprocess",
    "Tolerance",
    "add_report",
    "open_bundle",
    "read_bundle",
    "sign_bundle",
    "verify_signature",
    "write_bundle",
]

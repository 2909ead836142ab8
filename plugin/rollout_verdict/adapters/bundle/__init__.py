"""Bundles on disk: a folder or a .tar.gz with the recorded evidence of one measurement.

A labelled case, a recorded measurement and a bug report have this one form, and each can be judged again. Everything
read here is foreign: files and sizes are guarded in ``files``, shapes checked in ``schema``. Nothing here judges.
"""

from rollout_verdict.adapters.bundle.files import BundleError, Limits
from rollout_verdict.adapters.bundle.read import read_bundle, read_record, read_verdict
from rollout_verdict.adapters.bundle.write import packed_bundle, write_bundle

__all__ = ["BundleError", "Limits", "packed_bundle", "read_bundle", "read_record", "read_verdict", "write_bundle"]

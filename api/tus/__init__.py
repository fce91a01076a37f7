"""Resumable uploads by the tus protocol, version 1.0.0 (tus.io/protocols/resumable-upload, read 2026-11-29)."""

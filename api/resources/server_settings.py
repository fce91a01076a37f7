"""GET /settings: what the owner of the server has chosen in its environment, without secrets."""

from __future__ import annotations

import falcon

from api.resources import owner_documents as documents
from api.resources.base import Resource
from platforms.definition import LoginDefinition
from platforms.registry import PLATFORMS
from settings import VERSION


class SettingsResource(Resource):
    """GET /settings."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Show the settings, and which logins of the platforms are set up."""
        del request
        settings = self._context.settings
        shown: documents.SettingsDocument = {
            "version": VERSION,
            "public_url": settings.root_url,
            "review": settings.review,
            "retention_hours": settings.retention_hours,
            "keep_pictures_days": settings.keep_pictures_days,
            "max_upload_bytes": settings.max_upload_size,
            "segment_seconds": settings.segment_seconds,
            "gaze_intensity": settings.gaze_intensity,
            "backup_hours": None if settings.backup_dir is None else settings.backup_hours,
            "logins": {
                name: [self._login(name, login) for login in platform.logins] for name, platform in PLATFORMS.items()
            },
        }
        response.media = shown

    def _login(self, platform: str, login: LoginDefinition) -> documents.LoginDocument:
        settings = self._context.settings
        return {
            "variant": login.variant,
            "is_set_up": login.client_name in settings.oauth_clients,
            "redirect_uri": f"{settings.root_url}/connect/{platform}/callback",
            "variables": [login.client_id_variable, login.client_secret_variable],
        }

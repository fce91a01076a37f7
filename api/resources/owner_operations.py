"""The operations of the API about needs, API keys and settings. See `operations`."""

from __future__ import annotations

from api.resources import owner_documents as documents
from api.resources.api_keys import NewApiKey
from api.resources.operation import Operation

OWNER_OPERATIONS = (
    Operation(
        "list_needs", "get", "/needs-you", "List what waits for a person", (200, 304),
        "Accounts to connect again, reviews, drafts, unknown outcomes, what failed and can be retried, disabled "
        "endpoints, dead letters, a full disk. Drafts are listed for 7 days.", content=documents.NeedsDocument,
    ),
    Operation("list_keys", "get", "/keys", "List API keys", (200,), content=documents.ApiKeysDocument),
    Operation(
        "create_key", "post", "/keys", "Create an API key", (201, 400, 409, 422),
        "The response has the key, which is not stored and cannot be shown again.", NewApiKey,
        content=documents.ApiKeyWithSecretDocument,
    ),
    Operation(
        "revoke_key", "delete", "/keys/{key_id}", "Revoke an API key", (204, 404), "Its sessions end, too.",
    ),
    Operation(
        "get_settings", "get", "/settings", "Get the settings of the server", (200,),
        "They are changed in the environment of the server. Secrets are not shown.",
        content=documents.SettingsDocument,
    ),
)  # fmt: skip

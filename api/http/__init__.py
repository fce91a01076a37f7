"""HTTP itself: authentication, request bodies, problem documents and file responses."""

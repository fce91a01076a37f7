"""A replacement of the browser's push service: headless Chromium has no way to a real one."""

import json

ENDPOINT = "https://push.example.net/send/1"

_FAKE = """
(() => {
  const { permission, answer, failure, existing } = ARGUMENTS;
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  const asked = (window.asked = []);
  const make = (endpoint, key) => ({
    endpoint, options: { applicationServerKey: key.buffer },
    toJSON: () => ({ endpoint, expirationTime: null, keys: { p256dh: 'public', auth: 'secret' } }),
    unsubscribe: async () => { asked.push('unsubscribe'); current = null; return true; },
  });
  let current = existing ? make(existing[0], bytes(existing[1])) : null;
  let granted = permission;
  Object.defineProperty(Notification, 'permission', { get: () => granted });
  Notification.requestPermission = async () => {
    asked.push(navigator.userActivation.isActive ? 'permission after a press' : 'permission');
    return (granted = answer);
  };
  PushManager.prototype.getSubscription = async () => current;
  PushManager.prototype.subscribe = async (options) => {
    asked.push('subscribe');
    if (failure === 'silence') return new Promise(() => {});
    if (failure) throw new DOMException('x', failure);
    if (!options.userVisibleOnly) throw new DOMException('x', 'NotAllowedError');
    return (current = make('ENDPOINT', options.applicationServerKey));
  };
})();
"""


def fake_push(
    permission: str = "default",
    answer: str = "granted",
    failure: str = "",
    existing: tuple[str, str] | None = None,
) -> str:
    """Return a script that replaces the push service, to be run before the scripts of the page.

    Args:
        permission: of the page, before anybody is asked.
        answer: of the person who is asked.
        failure: name of the error of a subscription; "silence": it never ends.
        existing: address and key of a subscription from an earlier page.
    """
    given = {"permission": permission, "answer": answer, "failure": failure, "existing": existing}
    return _FAKE.replace("ARGUMENTS", json.dumps(given)).replace("ENDPOINT", ENDPOINT)

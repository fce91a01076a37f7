/** The addresses of the page's views; for the page and for the service worker. `api/http/page_paths.py` has the same. */

const PAGES = /^\/(?:new|videos(?:\/[^/]+)?|calendar|accounts|settings|needs-you)?$/;

/** Return whether an address on this server, without its query, is that of a view. */
export const isPage = (pathname) => PAGES.test(pathname);

export const videoPath = (jobId) => `/videos/${encodeURIComponent(jobId)}`;

/** Return the address of the video in a link of an earlier version (`#job=ID`), or null. */
export function earlierPath(hash) {
  const found = /^#job=(.+)$/.exec(hash);
  if (!found) return null;
  try {
    return videoPath(decodeURIComponent(found[1]));
  } catch {
    return videoPath(found[1]);
  }
}

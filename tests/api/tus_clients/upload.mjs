/** Uploads a file with tus-js-client's default settings: node upload.mjs ENDPOINT KEY FILE; prints the upload's address. */

import fs from 'node:fs';
import * as tus from 'tus-js-client';

const [endpoint, key, path] = process.argv.slice(2);
const upload = new tus.Upload(fs.createReadStream(path), {
  endpoint,
  headers: { Authorization: `Bearer ${key}` },
  metadata: { filename: 'talk.mp4', filetype: 'video/mp4', title: 'From tus-js-client' },
  onError: (error) => {
    console.error(String(error));
    process.exit(1);
  },
  onSuccess: () => console.log(upload.url),
});
upload.start();

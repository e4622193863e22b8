// Uploads a file with tus-js-client as it is, and prints what happens, one JSON object a line.
//
// node upload.mjs '{"endpoint", "token", "path", "urls", "metadata",
//                   "chunkSize", "stopAt", "pauseAt", "size"}'

import { createReadStream, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { FileUrlStorage, Upload } from "tus-js-client";

const given = JSON.parse(process.argv[2]);
const tell = (what) => console.log(JSON.stringify(what));
mkdirSync(dirname(given.urls), { recursive: true });

const upload = new Upload(createReadStream(given.path), {
  endpoint: given.endpoint,
  headers: { Authorization: `Token ${given.token}` },
  metadata: given.metadata,
  chunkSize: given.chunkSize ?? Infinity,
  uploadSize: given.size,
  retryDelays: Array(30).fill(300),
  urlStorage: new FileUrlStorage(given.urls),
  fingerprint: async () => given.path,
  onBeforeRequest: async (request) => {
    tell({ asked: request.getMethod() });
    if (given.pauseAt && sent >= given.pauseAt && !paused) {
      paused = true; // the test stops the server now, and the request comes too late
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
  },
  onChunkComplete: (_size, accepted) => {
    sent = accepted;
    tell({ sent });
    if (sent === given.stopAt) process.exit();
  },
  onSuccess: ({ lastResponse }) =>
    tell({
      offset: lastResponse.getHeader("Upload-Offset"),
      attachment: lastResponse.getHeader("Attachment-Id"),
    }),
  onError: (error) =>
    tell({
      status: error.originalResponse?.getStatus(),
      code: JSON.parse(error.originalResponse?.getBody() || "{}").code,
    }),
});

let sent = 0;
let paused = false;
const [previous] = await upload.findPreviousUploads();
if (previous) {
  upload.resumeFromPreviousUpload(previous);
  tell({ resumed: true });
}
upload.start();

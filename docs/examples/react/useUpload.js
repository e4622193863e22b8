// One resumable upload: what to show of it, and what can be done with it.

import { useCallback, useEffect, useRef, useState } from "react";
import * as tus from "tus-js-client";

const IDLE = { phase: "idle", sent: 0, size: 0, problem: "" };

/**
 * phase: idle → sending ⇄ paused, or waiting (for the network) → done, or refused (with `problem`).
 * `onDone` gets the attachment's id.
 */
export function useUpload({ site, token, conversation, chunkBytes, onDone }) {
  const [state, setState] = useState(IDLE);
  const upload = useRef(null);
  const change = useCallback((news) => setState((old) => ({ ...old, ...news })), []);

  const start = useCallback(
    async (file) => {
      const next = new tus.Upload(file, {
        endpoint: `${site}/api/chat/uploads/`,
        headers: { Authorization: `Token ${token}` },
        metadata: {
          conversation: String(conversation),
          filename: file.name,
          filetype: file.type,
          kind: "video",
        },
        chunkSize: chunkBytes,
        retryDelays: [0, 1000, 3000, 10000],
        removeFingerprintOnSuccess: true,
        onProgress: (sent, size) => change({ sent, size }),
        onSuccess: ({ lastResponse }) => {
          change({ phase: "done" });
          onDone(Number(lastResponse.getHeader("Attachment-Id")));
        },
        onError: (error) => {
          const answer = error.originalResponse;
          if (answer) change({ phase: "refused", problem: sentence(answer) });
          else change({ phase: "waiting" });
        },
      });
      upload.current = next;
      change({ ...IDLE, phase: "sending", size: file.size });
      // The same file may have been begun before this page was opened.
      const [begun] = await next.findPreviousUploads();
      if (begun) next.resumeFromPreviousUpload(begun);
      next.start();
    },
    [site, token, conversation, chunkBytes, onDone, change],
  );

  const pause = useCallback(async () => {
    await upload.current.abort();
    change({ phase: "paused" });
  }, [change]);

  const goOn = useCallback(() => {
    change({ phase: "sending" });
    upload.current.start(); // asks the server how far it is, and goes on from there
  }, [change]);

  useEffect(() => {
    if (state.phase !== "waiting") return undefined;
    window.addEventListener("online", goOn);
    return () => window.removeEventListener("online", goOn);
  }, [state.phase, goOn]);

  // Leaving the page pauses: what is on the server stays there for a day.
  useEffect(() => () => void upload.current?.abort(), []);

  return { ...state, start, pause, goOn };
}

/** Errors are {"detail", "code"}, or sentences by field. */
function sentence(answer) {
  try {
    const body = JSON.parse(answer.getBody());
    return body.detail ?? Object.values(body).flat().join(" ");
  } catch {
    return `The server answered ${answer.getStatus()}.`;
  }
}

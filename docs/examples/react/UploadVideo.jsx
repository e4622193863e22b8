import { useUpload } from "./useUpload.js";

const MEGABYTE = 1024 * 1024;

/** Picks a file and sends it to the conversation; `onDone` gets the attachment's id. */
export function UploadVideo({ site, token, conversation, onDone, chunkBytes = 8 * MEGABYTE }) {
  const upload = useUpload({ site, token, conversation, chunkBytes, onDone });
  const percent = upload.size ? Math.floor((100 * upload.sent) / upload.size) : 0;
  const isUnderWay = upload.phase === "sending" || upload.phase === "waiting";

  return (
    <section className="upload" aria-label="Upload">
      <label>
        Video{" "}
        <input
          type="file"
          accept="video/*"
          disabled={isUnderWay || upload.phase === "paused"}
          onChange={(event) => event.target.files[0] && upload.start(event.target.files[0])}
        />
      </label>
      {upload.phase !== "idle" && (
        <progress aria-label="Sent" max={upload.size} value={upload.sent}>
          {percent} %
        </progress>
      )}
      {isUnderWay && <button onClick={upload.pause}>Pause</button>}
      {upload.phase === "paused" && <button onClick={upload.goOn}>Go on</button>}
      <p role="status">{words(upload, percent)}</p>
    </section>
  );
}

function words({ phase, sent, size, problem }, percent) {
  switch (phase) {
    case "sending":
      return sent < size ? `${percent} % sent` : "Sent. The server reads the video …";
    case "waiting":
      return `No connection. It goes on by itself at ${percent} %.`;
    case "paused":
      return `Paused at ${percent} %`;
    case "refused":
      return problem;
    case "done":
      return "Ready.";
    default:
      return "";
  }
}

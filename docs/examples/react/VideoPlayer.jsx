import { useCallback, useEffect, useRef, useState } from "react";
import { fetchStoryboard } from "./storyboard.js";

const ASK_AGAIN_MILLISECONDS = 2000;
const ASK_TIMES = 30;

/** Plays an attachment in place; the bar below seeks, with the storyboard's pictures above it. */
export function VideoPlayer({ site, token, id }) {
  const [video, renew] = useAttachment({ site, token, id });
  const cues = useStoryboard(video);
  const player = useRef(null);
  const [at, setAt] = useState(0);

  if (!video) return <p role="status">Loading …</p>;
  if (!video.stream_url) return <p role="status">This video cannot be shown.</p>;

  const key = new URL(video.stream_url).search; // of stream_url: good for the pictures too
  return (
    <figure className="player">
      <video
        ref={player}
        src={video.stream_url}
        poster={video.thumbnail_url && video.thumbnail_url + key}
        width={video.width}
        height={video.height}
        controls
        preload="metadata"
        onTimeUpdate={(event) => setAt(event.target.currentTime)}
        // stream_url is good for at least 45 minutes: after a longer pause, ask for a new one.
        onError={renew}
        onLoadedMetadata={(event) => at && (event.target.currentTime = at)}
      />
      <Bar
        seconds={video.duration}
        at={at}
        cues={cues}
        onSeek={(second) => (player.current.currentTime = second)}
      />
      <figcaption>
        {video.original_name} · {video.duration_formatted}
      </figcaption>
    </figure>
  );
}

function Bar({ seconds, at, cues, onSeek }) {
  const [pointed, setPointed] = useState(null);
  const picture = pointed !== null && cues.find((cue) => cue.from <= pointed && pointed < cue.to);
  const point = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    setPointed(seconds * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
  };

  return (
    <div className="bar">
      {picture && <Picture {...picture} />}
      <input
        type="range"
        aria-label="Position"
        min="0"
        max={seconds ?? 0}
        step="any"
        value={at}
        disabled={seconds === null}
        onChange={(event) => onSeek(Number(event.target.value))}
        onPointerMove={point}
        onPointerLeave={() => setPointed(null)}
      />
    </div>
  );
}

function Picture({ sheet, x, y, width, height }) {
  const style = { width, height, background: `url(${JSON.stringify(sheet)}) -${x}px -${y}px` };
  return <div className="picture" role="img" aria-label="Picture at this time" style={style} />;
}

/** The attachment, asked for again until its storyboard is there: unchanged, that costs a 304. */
function useAttachment({ site, token, id }) {
  const [video, setVideo] = useState(null);

  const ask = useCallback(
    async (take) => {
      const answer = await fetch(`${site}/api/chat/attachments/${id}/`, {
        headers: { Authorization: `Token ${token}` },
      });
      if (!answer.ok) return;
      const found = await answer.json();
      setVideo((old) => take(found, old));
    },
    [site, token, id],
  );
  const renew = useCallback(() => ask((found) => found), [ask]);

  const times = useRef(0);
  useEffect(() => {
    if (!video) {
      void renew();
    } else if (video.storyboard_url === null && times.current < ASK_TIMES) {
      const timer = setTimeout(() => {
        times.current += 1;
        // A new address would begin the video anew.
        void ask((found, old) => ({ ...found, stream_url: old.stream_url }));
      }, ASK_AGAIN_MILLISECONDS);
      return () => clearTimeout(timer);
    }
    return undefined;
  }, [video, ask, renew]);

  return [video, renew];
}

function useStoryboard(video) {
  const [cues, setCues] = useState([]);
  const made = video?.storyboard_url;
  const key = video?.stream_url && new URL(video.stream_url).search;
  useEffect(() => {
    if (made && key) void fetchStoryboard(made.replace(/\/$/, ".vtt") + key).then(setCues);
  }, [made, key]);
  return cues;
}

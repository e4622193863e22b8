// A page of one conversation: send a video, and watch it.
//
// <div id="chat" data-site="https://nexus.example.org" data-token="…" data-conversation="7">

import { useState } from "react";
import { createRoot } from "react-dom/client";
import { UploadVideo } from "./UploadVideo.jsx";
import { VideoPlayer } from "./VideoPlayer.jsx";
import "./main.css";

function Chat({ site, token, conversation, chunkBytes }) {
  const [videos, setVideos] = useState([]);
  return (
    <main>
      <UploadVideo
        site={site}
        token={token}
        conversation={conversation}
        chunkBytes={chunkBytes && Number(chunkBytes)}
        onDone={(id) => setVideos((others) => [id, ...others])}
      />
      {videos.map((id) => (
        <VideoPlayer key={id} site={site} token={token} id={id} />
      ))}
    </main>
  );
}

const place = document.getElementById("chat");
createRoot(place).render(<Chat {...place.dataset} />);

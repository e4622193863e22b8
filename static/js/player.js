// The browser's own word on whether it can play the file; errors do not bubble, so capture.
document.addEventListener(
  "error",
  (event) => {
    const player = event.target.closest?.("video, video source")?.closest("video");
    if (!player) return;
    const notice = document.getElementById(player.dataset.notice);
    if (notice) notice.hidden = false;
  },
  true,
);

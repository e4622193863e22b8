// The player of the video page: Plyr over the browser's own, hidden until it is asked for.
import Plyr from "../vendor/plyr-3.8.4/plyr.min.mjs";
import { tellRevealed, whenLeft } from "./protection.js";

// Plyr's own keys are off: they would take some of ours, and "c" fails on a video without captions.
const KEYS = { play: "p", mute: "m", fullscreen: "F" };
const SPEEDS = [0.25, 0.5, 1, 1.5, 2, 4];

const frame = document.getElementById("player");
const cover = frame?.querySelector("[data-cover]");
const template = frame?.querySelector("template[data-video]");
const tools = frame?.querySelector("[data-player-tools]");
let player = null;

const seconds = (name) => (name in frame.dataset ? Number(frame.dataset[name]) : null);

function start(video) {
  const start = seconds("start");
  const storyboard = frame.dataset.storyboard;
  player = new Plyr(video, {
    controls: ["play-large", "play", "progress", "current-time", "duration", "mute", "volume", "settings", "fullscreen"],
    settings: ["speed"],
    speed: { selected: 1, options: SPEEDS },
    iconUrl: frame.dataset.icons,
    blankVideo: "", // Plyr would load one from its own servers
    muted: video.muted,
    storage: { enabled: false },
    keyboard: { focused: false, global: false },
    fullscreen: { enabled: true, fallback: true, iosNative: false },
    previewThumbnails: { enabled: Boolean(storyboard), src: storyboard ?? "" },
    markers: { enabled: start !== null, points: start === null ? [] : [{ time: start, label: "Reported" }] },
  });
  for (const [control, key] of Object.entries(KEYS)) {
    const button = frame.querySelector(`.plyr__controls [data-plyr="${control}"]`);
    if (button) button.dataset.key = key;
  }
  if (tools) tools.hidden = false;
}

function reveal(how) {
  frame.classList.toggle("is-blurred", how === "blurred");
  showPressed();
  cover.hidden = true;
  const video = template.content.cloneNode(true).querySelector("video");
  template.after(video);
  start(document.querySelector("#player video"));
  tellRevealed(frame.dataset.revealedAt);
  if (how === "blurred") player.play();
}

// Nothing of the video stays: neither its element nor what was fetched for it.
function hide() {
  if (!player || !template) return;
  if (document.fullscreenElement) document.exitFullscreen();
  const video = frame.querySelector("video");
  video.pause();
  video.removeAttribute("src");
  video.load();
  frame.querySelector(".plyr").remove();
  player = null;
  cover.hidden = false;
  tools.hidden = true;
}

function step(count) {
  const video = frame.querySelector("video");
  video.pause();
  video.currentTime = Math.min(Math.max(0, video.currentTime + count / seconds("frameRate")), video.duration || Infinity);
}

function showPressed() {
  for (const button of frame.querySelectorAll("[data-toggle-class]")) {
    button.setAttribute("aria-pressed", String(frame.classList.contains(button.dataset.toggleClass)));
  }
}

frame?.addEventListener("click", (event) => {
  const button = event.target.closest("[data-reveal-player], [data-hide-player], [data-step], [data-jump], [data-toggle-class]");
  if (!button) return;
  const { revealPlayer, step: frames, jump, toggleClass } = button.dataset;
  event.preventDefault();
  if (revealPlayer) reveal(revealPlayer);
  else if (frames) step(Number(frames));
  else if (jump) frame.querySelector("video").currentTime = Number(jump);
  else if (toggleClass) {
    frame.classList.toggle(toggleClass);
    showPressed();
  } else hide();
});

// The browser's own word on whether it can play the file; errors do not bubble, so capture.
frame?.addEventListener(
  "error",
  (event) => {
    const video = event.target.closest?.("video, video source")?.closest("video");
    // Hiding takes the address away, which is an error to the element.
    if (!video?.getAttribute("src")) return;
    const notice = document.getElementById(video.dataset.notice);
    if (notice) notice.hidden = false;
  },
  true,
);

if (frame && !template) start(frame.querySelector("video"));
whenLeft(hide);

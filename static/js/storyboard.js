// A picture with data-storyboard (the address of a WebVTT map) shows the moment of the video that
// the pointer is at, from left to right; with the keyboard on it, one moment after the other, and
// with ← and → as one likes. Nothing is fetched before somebody is there, nor while the picture is
// one that protection.js hides.

const STEP_MS = 700;
const boards = new Map();
const still = matchMedia("(prefers-reduced-motion: reduce)");
let shown = null; // {picture, board, screen, line, index, timer}

const seconds = (text) => text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);

// [{start, end, x, y, width, height}] and the sheet's address.
function parse(text, base) {
  const cue = /([\d:.]+) --> ([\d:.]+)\s+(\S+?)#xywh=(\d+),(\d+),(\d+),(\d+)/g;
  const found = [...text.matchAll(cue)];
  const cues = found.map(([, start, end, , ...box]) => {
    const [x, y, width, height] = box.map(Number);
    return { start: seconds(start), end: seconds(end), x, y, width, height };
  });
  return { cues, sheet: found.length ? new URL(found[0][3], new URL(base, location.href)).href : "" };
}

async function load(address) {
  const answer = await fetch(address);
  if (!answer.ok) return null;
  const board = parse(await answer.text(), address);
  if (!board.cues.length) return null;
  board.image = new Image();
  board.image.src = board.sheet;
  await board.image.decode();
  return board;
}

function boardOf(picture) {
  const address = picture.dataset.storyboard;
  if (!boards.has(address)) boards.set(address, load(address).catch(() => null));
  return boards.get(address);
}

function show(index) {
  const { picture, board, cover, screen, line } = shown;
  if (!cover.isConnected) picture.append(cover); // a refresh of the list took it away
  shown.index = Math.min(Math.max(index, 0), board.cues.length - 1);
  const cue = board.cues[shown.index];
  const scale = Math.min(picture.clientWidth / cue.width, picture.clientHeight / cue.height);
  Object.assign(screen.style, {
    width: `${cue.width * scale}px`,
    height: `${cue.height * scale}px`,
    backgroundImage: `url("${board.sheet}")`,
    backgroundSize: `${board.image.naturalWidth * scale}px ${board.image.naturalHeight * scale}px`,
    backgroundPosition: `${-cue.x * scale}px ${-cue.y * scale}px`,
  });
  line.style.width = `${(100 * cue.end) / board.cues.at(-1).end}%`;
}

function element(name, parent) {
  const made = document.createElement("span");
  made.className = name;
  parent.append(made);
  return made;
}

const mayShow = (picture) =>
  picture.isConnected &&
  picture.matches(":hover, :has(:focus-visible)") &&
  !picture.matches("[data-hidden]:not(.is-revealed)");

async function begin(picture, place) {
  if (shown?.picture === picture) return;
  end();
  if (!mayShow(picture)) return;
  const board = await boardOf(picture);
  if (!board || !mayShow(picture) || shown?.picture === picture) return;
  end();
  const cover = element("scrub", picture);
  const screen = element("scrub-screen", cover);
  shown = { picture, board, cover, screen, line: element("", element("scrub-line", cover)), index: 0 };
  show(place === undefined ? 0 : Math.floor(place * board.cues.length));
  if (place === undefined && !still.matches) {
    shown.timer = setInterval(() => show((shown.index + 1) % board.cues.length), STEP_MS);
  }
}

function end() {
  if (!shown) return;
  clearInterval(shown.timer);
  shown.cover.remove();
  shown = null;
}

const under = (event) => event.target.closest?.("[data-storyboard]");

const placeOf = (picture, event) => {
  const { left, width } = picture.getBoundingClientRect();
  return (event.clientX - left) / width;
};

document.addEventListener("pointermove", (event) => {
  const picture = under(event);
  if (!picture || event.pointerType === "touch") return;
  if (shown?.picture !== picture) return void begin(picture, placeOf(picture, event));
  clearInterval(shown.timer);
  show(Math.floor(placeOf(picture, event) * shown.board.cues.length));
});
document.addEventListener("pointerout", (event) => {
  if (shown && under(event) === shown.picture && !shown.picture.contains(event.relatedTarget)) end();
});
document.addEventListener("focusin", (event) => {
  const picture = under(event);
  if (picture && event.target.matches(":focus-visible")) begin(picture);
});
document.addEventListener("protection", (event) => {
  const picture = under(event);
  if (!picture) return;
  if (!event.detail.isShown) return void (shown?.picture === picture && end());
  if (picture.matches(":has(:focus-visible)")) begin(picture);
});
document.addEventListener("focusout", (event) => {
  if (shown && under(event) === shown.picture) end();
});
document.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || !shown || under(event) !== shown.picture) return;
  event.preventDefault();
  clearInterval(shown.timer);
  show(shown.index + step);
});

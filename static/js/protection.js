// Pictures that are hidden until somebody asks to see them. The page has only their blurred stand-in;
// what they show is fetched when it is asked for, and forgotten when the page is left.
//
//   data-hidden="…"        on an element with an <img> or none: the address of the picture
//   data-revealed-at="…"   on it: where to tell that it was revealed
//   data-reveal            a button in it, which reveals and hides it again
//
// The element gets the class is-revealed and an event "protection" that says {isShown}.

import { say } from "./trouble.js";

const NOT_COME = "The picture did not come. Try again; if it stays away, look at the video’s page: its file may be missing.";
const covers = new WeakMap(); // a revealed element → the blurred address it had, if any

export function tellRevealed(url) {
  const token = document.querySelector("[name=csrfmiddlewaretoken]")?.value;
  window.htmx.ajax("POST", url, { target: "#break", swap: "innerHTML", values: { csrfmiddlewaretoken: token } });
}

const imageIn = (picture) => picture.querySelector("img");

function reveal(picture) {
  let image = imageIn(picture);
  covers.set(picture, image?.getAttribute("src") ?? null);
  if (!image) {
    image = new Image();
    image.alt = "";
    picture.prepend(image);
  }
  image.addEventListener("error", () => withdraw(picture), { once: true });
  image.src = picture.dataset.hidden;
  mark(picture, true);
  tellRevealed(picture.dataset.revealedAt);
}

// Nothing was seen: it is hidden as before.
function withdraw(picture) {
  if (!picture.classList.contains("is-revealed")) return;
  hide(picture);
  say(NOT_COME);
}

function hide(picture) {
  const cover = covers.get(picture);
  if (cover) imageIn(picture).src = cover;
  else imageIn(picture)?.remove();
  mark(picture, false);
}

function mark(picture, shown) {
  picture.classList.toggle("is-revealed", shown);
  picture.querySelector("[data-reveal]")?.setAttribute("aria-pressed", String(shown));
  picture.dispatchEvent(new CustomEvent("protection", { bubbles: true, detail: { isShown: shown } }));
}

document.addEventListener("click", (event) => {
  const picture = event.target.closest("[data-reveal]")?.closest("[data-hidden]");
  if (!picture) return;
  event.preventDefault();
  if (picture.classList.contains("is-revealed")) hide(picture);
  else reveal(picture);
});

// Leaving hides all: a page that comes back, by Back or by its tab, comes back as it was at first.
export const whenLeft = (act) => {
  window.addEventListener("pagehide", act);
  document.addEventListener("visibilitychange", () => document.hidden && act());
};

whenLeft(() => document.querySelectorAll("[data-hidden].is-revealed").forEach(hide));

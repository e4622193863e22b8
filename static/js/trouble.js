// A request of htmx that failed leaves the page as it is, and says what happened and what to do.

const box = document.getElementById("trouble");
const sentence = box.querySelector("p");
const SENTENCES = {
  0: "The server did not answer. What you see may be out of date: look whether you are connected, then load it again.",
  401: "Your session has ended, and nothing was changed. What you see stays until you sign in again.",
  403: "You have no right to do that, or this page is out of date. Nothing was changed.",
  400: "The server could not make sense of that. Nothing was changed: load the page again, and do it anew.",
  404: "What this was about is gone: somebody deleted it meanwhile.",
  413: "That was more than the server takes at once, and nothing was changed. Choose fewer videos, or write less.",
  429: "That was too often in a short time. Wait a minute, then try again.",
};
const ON_OUR_SIDE = "Something failed on our side; it is in the server’s log. Nothing was changed: load the page again, and tell whoever runs the server if it stays so.";
let ended = false;
let wasAsked = false; // what failed: somebody asked for it, so no answer to anything else ends the message

// What a page asks for by itself: live parts, and what tells the server that something was revealed.
const asksByItself = (element) =>
  element === document.body || /every|load/.test(element.getAttribute("hx-trigger") ?? "");

function tell(status, element) {
  ended = status === 401;
  wasAsked = !asksByItself(element);
  show(SENTENCES[status] ?? (status >= 500 ? ON_OUR_SIDE : SENTENCES[403]));
}

// Also for what no request of htmx fetches.
export function say(words) {
  wasAsked = true;
  show(words);
}

function show(words) {
  sentence.textContent = words;
  box.querySelector("[data-sign-in]").hidden = !ended;
  box.querySelector("[data-load-again]").hidden = ended;
  box.hidden = false;
}

for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(failure, (event) => tell(event.detail.xhr?.status ?? 0, event.detail.elt));
}

// A request that gives way to a newer one (hx-sync), or to another page, is no error: htmx would
// write it to the console as one.
window.htmx.logger = (_element, name, detail) => {
  if (["htmx:sendAbort", "htmx:afterRequest"].includes(name)) detail.error = "";
};

// Live parts ask no more once the session is over.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (ended) event.preventDefault();
});

document.addEventListener("htmx:afterOnLoad", ({ detail }) => {
  if (detail.successful && !(wasAsked && asksByItself(detail.elt))) box.hidden = true;
});

box.addEventListener("click", (event) => {
  if (event.target.closest("[data-load-again]")) location.reload();
  const link = event.target.closest("[data-sign-in]");
  if (link) link.search = new URLSearchParams({ ended: 1, next: location.pathname + location.search });
});

// Rows that appear above those on the page do not move what is being read: the row with the
// keyboard's focus or open details, or, further down, the one at the top of the window.

const MOST_ROWS = 500; // the oldest leave: a page that stays open does not grow for ever

function whatIsRead(list) {
  const focused = list.contains(document.activeElement) && document.activeElement.closest("tr");
  const open = list.querySelector("details[open]")?.closest("tr");
  if (focused || open) return focused || open;
  if (scrollY === 0) return null;
  return [...list.querySelectorAll("tbody:not(.tail) tr")].find(
    (row) => row.getBoundingClientRect().bottom > 0,
  );
}

let read = null;

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.id !== "tail" || detail.xhr.status === 204) return;
  const row = whatIsRead(detail.target.closest("table"));
  read = row && { row, top: row.getBoundingClientRect().top };
});

document.addEventListener("htmx:afterSettle", () => {
  const tail = document.getElementById("tail");
  if (!tail) return;
  if (read?.row.isConnected) scrollBy(0, read.row.getBoundingClientRect().top - read.top);
  const rows = [...tail.closest("table").querySelectorAll("tbody:not(.tail) tr")];
  for (const row of rows.slice(MOST_ROWS)) {
    if (row !== read?.row) row.remove();
  }
  read = null;
});

// The print button of a document.
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) window.print();
});

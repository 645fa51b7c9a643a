"use strict";
document.querySelectorAll("table[data-filter]").forEach(function (table) {
  var quiet = table.querySelectorAll("tr[data-quiet]");
  if (!quiet.length || quiet.length === table.tBodies[0].rows.length) return;
  var button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-pressed", "false");
  button.textContent = "Only what needs a look";
  button.addEventListener("click", function () {
    var on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? "Show all" : "Only what needs a look";
    quiet.forEach(function (row) { row.hidden = on; });
  });
  var tools = document.createElement("p");
  tools.className = "tools";
  tools.appendChild(button);
  table.parentNode.parentNode.insertBefore(tools, table.parentNode);
});
window.addEventListener("beforeprint", function () {
  document.querySelectorAll("details[data-print]").forEach(function (part) { part.open = true; });
});

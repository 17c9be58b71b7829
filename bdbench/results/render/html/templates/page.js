"use strict";
// The page is complete without this script. It sorts and filters the table of all rows, copies
// citations, and opens what is folded before printing. The state of the table stands in the
// address (#sort=asr&dir=descending&find=badnets), so that a view can be linked and reloaded.
(() => {
  document.documentElement.classList.add("js");

  const table = document.getElementById("rows");
  const controls = document.getElementById("controls");
  const shown = document.getElementById("shown");
  const numbers = JSON.parse(document.getElementById("data").textContent).columns;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const positions = new Map(heads.map((head, index) => [head.dataset.key, index]));
  const texts = new Intl.Collator("en", { numeric: true });
  const FIELDS = ["find", "attack", "defense", "ranked", "more"];

  const text = (row, key) => row.cells[positions.get(key)].textContent;

  function compare(key, way) {
    const values = Object.hasOwn(numbers, key) ? numbers[key] : null;
    if (values === null) return (a, b) => way * texts.compare(text(a, key), text(b, key));
    return (a, b) => {
      const [x, y] = [values[a.dataset.row], values[b.dataset.row]];
      // A row without a number stands last, whichever way the others go.
      if (x === null || y === null) return (x === null) - (y === null);
      return way * (x - y);
    };
  }

  function sort(key, direction) {
    const known = positions.has(key) && ["ascending", "descending"].includes(direction);
    const way = direction === "descending" ? -1 : 1;
    body.append(...(known ? rows.toSorted(compare(key, way)) : rows));
    for (const head of heads) {
      const sorted = known && head.dataset.key === key;
      head.setAttribute("aria-sort", sorted ? direction : "none");
    }
  }

  function filter(state) {
    const words = (state.get("find") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const all = row.textContent.toLowerCase();
      const fits =
        words.every((word) => all.includes(word)) &&
        ["attack", "defense"].every((key) => !state.get(key) || text(row, key) === state.get(key)) &&
        (!state.get("ranked") || "ranked" in row.dataset);
      row.hidden = !fits;
      count += fits;
    }
    shown.textContent = count === rows.length ? `${count} rows` : `${count} of ${rows.length} rows`;
    table.classList.toggle("more", Boolean(state.get("more")));
  }

  // Links to sections change the address too; only one that speaks of the table is its state.
  const isState = (state) => ["sort", ...FIELDS].some((key) => state.has(key));

  function read() {
    const state = new URLSearchParams(location.hash.slice(1));
    if (!isState(state)) return;
    for (const name of FIELDS) {
      const field = controls.elements[name];
      if (!field) continue;
      if (field.type === "checkbox") field.checked = Boolean(state.get(name));
      else field.value = state.get(name) ?? "";
    }
    sort(state.get("sort"), state.get("dir") ?? "ascending");
    filter(state);
  }

  function write(changes) {
    const sorted = heads.find((head) => (head.getAttribute("aria-sort") ?? "none") !== "none");
    const state = new URLSearchParams();
    if (sorted) {
      state.set("sort", sorted.dataset.key);
      state.set("dir", sorted.getAttribute("aria-sort"));
    }
    for (const [key, value] of new FormData(controls)) if (value) state.set(key, value);
    for (const [key, value] of Object.entries(changes)) state.set(key, value);
    sort(state.get("sort"), state.get("dir"));
    filter(state);
    // An address without a fragment would jump to the top.
    location.replace(`#${isState(state) ? state : "find="}`);
  }

  const NEXT = { none: "ascending", ascending: "descending", descending: "none" };
  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      write({ sort: head.dataset.key, dir: NEXT[head.getAttribute("aria-sort")] });
    });
  }
  for (const key of ["attack", "defense"]) {
    for (const name of new Set(rows.map((row) => text(row, key)))) {
      controls.elements[key].append(new Option(name));
    }
  }
  controls.addEventListener("input", () => write({}));
  controls.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", read);
  read();

  async function copy(button) {
    const which = button.dataset.copy;
    const sources =
      which === "all"
        ? [...document.querySelectorAll(".bibtex")]
        : [document.getElementById(which)];
    try {
      await navigator.clipboard.writeText(sources.map((source) => source.textContent).join("\n\n"));
      button.textContent = "Copied";
    } catch {
      // No clipboard for this page: mark the text, so that the reader's own copy command takes it.
      for (const source of sources) source.closest("details").open = true;
      const range = document.createRange();
      range.setStartBefore(sources[0]);
      range.setEndAfter(sources.at(-1));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Marked: copy with the keyboard";
    }
  }
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", () => copy(button));
  }

  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const part of folded) part.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const part of folded) part.open = false;
  });
})();

"use strict";
// Sorts and filters the tables of runs. It reads only the page, and writes only text, never markup.
(() => {
  const controls = document.getElementById("controls");
  if (!controls) return;
  const field = (name) => document.getElementById(`f-${name}`);
  const [text, kind, only, name, side, limit, status] = [
    "text", "kind", "table", "name", "side", "limit", "status",
  ].map(field);

  const tables = [...document.querySelectorAll("table.runs")].map((table) => ({
    table,
    heads: [...table.tHead.rows[0].cells],
    rows: [...table.tBodies[0].rows],
  }));
  const total = tables.reduce((sum, { rows }) => sum + rows.length, 0);

  const shown = (cell) => cell.dataset.v ?? cell.textContent;
  const numeric = (cell) => {
    const value = shown(cell).trim();
    return value === "" ? NaN : Number(value);
  };

  // Sorting: ascending, descending, and the original order.
  const collator = new Intl.Collator("en", { numeric: true });
  const blank = (value) => value === "" || value === "–";
  const compare = (a, b) => {
    if (blank(a) || blank(b)) return blank(a) - blank(b);
    const difference = Number(a) - Number(b);
    return Number.isNaN(difference) ? collator.compare(a, b) : difference;
  };
  const sort = ({ table, heads, rows }, column) => {
    const head = heads[column];
    const order = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
    for (const other of heads) other.setAttribute("aria-sort", other === head ? order : "none");
    let sorted = rows;
    if (order !== "none") {
      const sign = order === "ascending" ? 1 : -1;
      sorted = rows
        .map((row) => [shown(row.cells[column]).trim(), row])
        .sort(([a], [b]) => (blank(a) || blank(b) ? compare(a, b) : sign * compare(a, b)))
        .map(([, row]) => row);
    }
    const body = document.createDocumentFragment();
    for (const row of sorted) body.append(row);
    table.tBodies[0].append(body);
  };
  for (const entry of tables) {
    entry.heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(entry, column));
      head.append(button);
      head.setAttribute("aria-sort", "none");
    });
  }

  // Filtering: a row must match every field.
  const texts = new Map(); // row -> text in lower case, computed on first use
  const textOf = (row) => {
    if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
    return texts.get(row);
  };
  const scored = (row, columns) =>
    columns.some((column) => {
      const value = numeric(row.cells[column]);
      return side.value === "above" ? value > limit.valueAsNumber : value < limit.valueAsNumber;
    });
  const filter = () => {
    const words = text.value.toLowerCase().trim();
    let left = 0;
    for (const { table, heads, rows } of tables) {
      const isAsked = !only?.value || only.value === table.id;
      const columns = [...heads.keys()].filter((column) => {
        const own = heads[column].dataset.name;
        return own !== undefined && (name.value === "" || name.value === own);
      });
      let here = 0;
      for (const row of rows) {
        row.hidden = !(
          isAsked &&
          (kind.value === "" || row.dataset.is.split(" ").includes(kind.value)) &&
          (Number.isNaN(limit.valueAsNumber) || scored(row, columns)) &&
          (words === "" || textOf(row).includes(words))
        );
        here += !row.hidden;
      }
      table.closest(".wide").hidden = here === 0;
      left += here;
    }
    const of = `${total.toLocaleString("en")} runs`;
    status.textContent = left === total ? of : left ? `${left.toLocaleString("en")} of ${of}` : `none of ${of}`;
  };
  let waiting;
  controls.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 120);
  });
  field("reset").addEventListener("click", () => {
    for (const input of controls.querySelectorAll("input")) input.value = "";
    for (const select of controls.querySelectorAll("select")) select.selectedIndex = 0;
    filter();
  });

  // A link to a run opens the run, even if it is filtered out.
  const follow = () => {
    const row = document.getElementById(location.hash.slice(1));
    if (!row?.matches("table.runs tr")) return;
    row.hidden = row.closest(".wide").hidden = false;
    row.querySelector("details").open = true;
    row.scrollIntoView();
  };
  addEventListener("hashchange", follow);

  controls.hidden = false;
  filter();
  follow();
})();

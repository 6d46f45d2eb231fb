"use strict";
// Unpacks the runs of the page, sorts and filters their tables, and marks words that differ from the baseline.
// It reads only the page, and writes only text and known elements, never markup.
(async () => {
  const controls = document.getElementById("controls");
  if (!controls || !globalThis.DecompressionStream) return;

  // --- unpack: see packing.py --------------------------------------------------------------------------------
  const SINGLE = 224;
  const utf8 = new TextDecoder();
  const inflated = async (id) => {
    const packed = atob(document.getElementById(id).textContent);
    const bytes = new Uint8Array(packed.length);
    for (let at = 0; at < packed.length; at++) bytes[at] = packed.charCodeAt(at);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  const common = utf8.decode(await inflated("words")).split("\n");
  const unpacked = async (id) => {
    const bytes = await inflated(id);
    const words = [];
    for (let at = 0; at < bytes.length;) {
      const code = bytes[at++];
      if (code === 0) {
        const end = bytes.indexOf(255, at);
        words.push(utf8.decode(bytes.subarray(at, end)));
        at = end + 1;
      } else {
        words.push(common[code < SINGLE ? code - 1 : SINGLE - 1 + ((code - SINGLE) << 8) + bytes[at++]]);
      }
    }
    return JSON.parse(words.join(" "));
  };

  // --- elements ----------------------------------------------------------------------------------------------
  const NAMES = new Set("a b bdi code details div h4 h5 p pre span summary".split(" "));
  const built = (tree) => {
    if (typeof tree === "string") return document.createTextNode(tree);
    const [name, kind, ...children] = tree;
    const element = document.createElement(NAMES.has(name) ? name : "span");
    if (name !== "a") element.className = kind;
    else if (/^https?:\/\//.test(kind)) Object.assign(element, { href: kind, rel: "noopener noreferrer" });
    element.append(...children.map(built));
    return element;
  };
  const named = (name, kind, text) => built([name, kind, text]);

  const tables = await Promise.all([...document.querySelectorAll("table.runs")].map(async (table) => {
    const number = table.id.slice(1);
    const { starts, rows } = await unpacked(`i${number}`);
    const heads = [...table.tHead.rows[0].cells];
    const records = rows.map(([cells, id, answer, kinds, splits], place) => ({
      cells: cells.map((cell) => (typeof cell === "string" ? [cell, "", "", null] : cell)),
      id, answer, splits, number, heads, starts, place, kinds: kinds.split(" "), row: null, text: null,
    }));
    return { table, heads, records, region: table.closest(".wide"), sorted: records, kept: null };
  }));
  const total = tables.reduce((sum, { records }) => sum + records.length, 0);

  const blocks = new Map(); // the opened runs of the last blocks that were unpacked
  const opened = async (record) => {
    let block = record.starts.length - 1;
    while (record.starts[block] > record.place) block--;
    const id = `d${record.number}-${block}`;
    if (!blocks.has(id)) {
      if (blocks.size > 3) blocks.delete(blocks.keys().next().value);
      blocks.set(id, unpacked(id));
    }
    return (await blocks.get(id))[record.place - record.starts[block]];
  };

  const rowOf = (record) => {
    if (record.row) return record.row;
    record.row = document.createElement("tr");
    record.row.setAttribute("role", "row");
    record.row.id = `r${record.number}-${record.place}`;
    const cells = record.cells.map(([text, kind, small], column) => {
      const cell = document.createElement("td");
      cell.setAttribute("role", "cell");
      cell.className = kind;
      cell.dataset.head = record.heads[column].dataset.head;
      cell.append(column === 0 ? named("bdi", "", text) : text);
      if (small) {
        const smaller = document.createElement("small");
        smaller.append(named("bdi", "", small));
        cell.append(" ", smaller);
      }
      return cell;
    });
    const full = document.createElement("td");
    full.setAttribute("role", "cell");
    full.className = "full";
    full.colSpan = record.cells.length;
    const summary = named("summary", "", "");
    if (record.id) summary.append(named("span", "id", record.id));
    summary.append(named("span", "said", record.answer));
    const details = document.createElement("details");
    details.append(summary);
    details.addEventListener("toggle", async () => {
      if (!details.open || details.children.length > 1) return;
      const tree = await opened(record);
      if (details.children.length > 1) return;
      details.append(built(tree));
      for (const pair of details.querySelectorAll(".versus")) mark(pair);
    });
    full.append(details);
    record.row.append(...cells, full);
    return record.row;
  };

  // The rows of a table are in groups, and a group gets its rows when it comes near the screen.
  const GROUP = 100;
  const recordsOf = new Map(); // group without its rows -> records
  const fill = (group) => {
    if (!recordsOf.has(group)) return;
    group.append(...recordsOf.get(group).map(rowOf));
    group.classList.remove("waiting");
    recordsOf.delete(group);
    watch.unobserve(group);
  };
  const watch = new IntersectionObserver(
    (seen) => { for (const { isIntersecting, target } of seen) if (isIntersecting) fill(target); },
    { rootMargin: "1500px" },
  );
  const show = ({ table, region, sorted, kept }) => {
    for (const group of [...table.tBodies]) {
      recordsOf.delete(group);
      watch.unobserve(group);
      group.remove();
    }
    const shown = kept ? sorted.filter((record) => kept.has(record)) : sorted;
    const groups = [];
    for (let at = 0; at < shown.length; at += GROUP) {
      const group = document.createElement("tbody");
      const records = shown.slice(at, at + GROUP);
      group.setAttribute("role", "rowgroup");
      group.className = "waiting";
      group.style.setProperty("--rows", records.length);
      recordsOf.set(group, records);
      groups.push(group);
    }
    if (groups.length) fill(groups[0]);
    table.append(...groups);
    for (const group of groups.slice(1)) watch.observe(group);
    region.hidden = shown.length === 0;
  };
  for (const entry of tables) {
    entry.heads.forEach((head) => { head.dataset.head = head.textContent; });
    show(entry);
    entry.table.addEventListener("click", ({ target }) => {
      const details = target.closest("td:first-child")?.parentElement.querySelector("details");
      if (details && getSelection().isCollapsed) details.open = !details.open;
    });
  }
  document.getElementById("without-script")?.remove();
  addEventListener("beforeprint", () => {
    for (const group of [...recordsOf.keys()]) fill(group);
  });

  // --- mark the words that differ ----------------------------------------------------------------------------
  const MOST = 4e6; // pairs of words to compare; longer texts are shown without marks
  const wordsOf = (box) => {
    const found = [];
    const nodes = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
    while (nodes.nextNode()) {
      const node = nodes.currentNode;
      if (!node.parentElement.closest("b")) found.push(...node.data.split(/(\s+)/).map((word) => ({ word, node, differs: false })));
    }
    return found;
  };
  const compareWords = (then, now) => {
    const [old, fresh] = [then, now].map((all) => all.filter(({ word }) => word.trim()));
    let start = 0;
    while (start < old.length && start < fresh.length && old[start].word === fresh[start].word) start++;
    let [end, stop] = [old.length, fresh.length];
    while (end > start && stop > start && old[end - 1].word === fresh[stop - 1].word) { end--; stop--; }
    const [high, wide] = [end - start, stop - start];
    if (high * wide > MOST) return false;
    const best = new Uint32Array((high + 1) * (wide + 1)); // longest common sequence from each pair on
    for (let i = high - 1; i >= 0; i--) {
      for (let j = wide - 1; j >= 0; j--) {
        const at = i * (wide + 1) + j;
        best[at] = old[start + i].word === fresh[start + j].word
          ? best[at + wide + 2] + 1
          : Math.max(best[at + wide + 1], best[at + 1]);
      }
    }
    for (let i = 0, j = 0; i < high || j < wide;) {
      const at = i * (wide + 1) + j;
      if (i < high && j < wide && old[start + i].word === fresh[start + j].word) { i++; j++; }
      else if (j === wide || (i < high && best[at + wide + 1] >= best[at + 1])) old[start + i++].differs = true;
      else fresh[start + j++].differs = true;
    }
    return true;
  };
  const markWords = (all, name) => {
    const pieces = new Map(); // text node -> its texts and marks
    all.forEach(({ word, node, differs }, at) => {
      if (!pieces.has(node)) pieces.set(node, []);
      const own = pieces.get(node);
      const isGap = !word.trim();
      const joins = isGap && all[at - 1]?.differs && all[at + 1]?.differs && all[at + 1].node === node && !word.includes("\n");
      const last = own.at(-1);
      if (last && last.differs === (differs || joins)) last.text += word;
      else own.push({ text: word, differs: differs || joins });
    });
    for (const [node, own] of pieces) {
      node.replaceWith(...own.map(({ text, differs }) => {
        if (!differs) return text;
        const marked = document.createElement(name);
        marked.append(text);
        return marked;
      }));
    }
  };
  const mark = (pair) => {
    const [old, fresh] = ["then", "now"].map((name) => pair.querySelector(`:scope > .${name} > pre`));
    if (!old || !fresh) return;
    const [then, now] = [wordsOf(old), wordsOf(fresh)];
    if (compareWords(then, now)) {
      markWords(then, "del");
      markWords(now, "ins");
    } else {
      old.before(named("p", "quiet", "The words that differ are not marked, because the texts are too long."));
    }
  };

  // --- sort --------------------------------------------------------------------------------------------------
  // Ascending, descending, and the original order.
  const collator = new Intl.Collator("en", { numeric: true });
  const valueOf = ([text, , , sort]) => {
    if (sort !== null) return sort;
    const number = text === "" || text === "–" ? "" : Number(text);
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(a, b));
  const sortBy = (entry, column, order) => {
    entry.heads.forEach((head, other) => head.setAttribute("aria-sort", other === column ? order : "none"));
    const sign = order === "ascending" ? 1 : -1;
    const keyed = entry.records.map((record) => [valueOf(record.cells[column]), record]);
    if (order !== "none") {
      keyed.sort(([a], [b]) => (a === "" || b === "" ? (a === "") - (b === "") : sign * compare(a, b)));
    }
    entry.sorted = keyed.map(([, record]) => record);
    show(entry);
  };
  for (const entry of tables) {
    entry.heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => {
        const next = { none: "ascending", ascending: "descending", descending: "none" };
        sortBy(entry, column, next[head.getAttribute("aria-sort")]);
        save();
      });
      head.append(button);
      head.setAttribute("aria-sort", "none");
    });
  }

  // --- filter: a run must match every field ------------------------------------------------------------------
  const FIELDS = ["text", "kind", "table", "split", "name", "side", "limit"];
  const field = (name) => document.getElementById(`f-${name}`);
  const fields = Object.fromEntries(FIELDS.map((name) => [name, field(name)]));
  const status = field("status");
  const asked = (name) => fields[name]?.value ?? "";

  const leaves = (tree) => (typeof tree === "string" ? tree : tree.slice(2).map(leaves).join("\n"));
  const hasText = async (record, words) => {
    if (record.text === null) {
      const row = record.cells.map(([text, , small]) => `${text} ${small}`).join("\n");
      record.text = `${row}\n${record.id}\n${leaves(await opened(record))}`.toLowerCase();
    }
    return record.text.includes(words);
  };
  const matches = (record, columns, isNamed) => {
    if (asked("split") && !record.splits.includes(asked("split"))) return false;
    if (isNamed && !columns.length) return false;
    const kind = asked("kind");
    if (kind) {
      const wanted = kind === "failed" ? "bad" : kind;
      const isKind = (column) => record.cells[column][1] === wanted;
      if (!(isNamed ? columns.some(isKind) : record.kinds.includes(kind))) return false;
    }
    const limit = fields.limit.valueAsNumber;
    if (Number.isNaN(limit)) return true;
    return columns.some((column) => {
      const [text, , , sort] = record.cells[column];
      const value = sort ?? (text.trim() === "" ? NaN : Number(text));
      return value !== "" && (asked("side") === "above" ? value > limit : value < limit);
    });
  };
  let latest = 0; // a newer filter ends an older one that still searches
  const filter = async () => {
    const turn = ++latest;
    const words = asked("text").toLowerCase().trim();
    const of = `${total.toLocaleString("en")} runs`;
    const found = new Map();
    let left = 0;
    let waited = performance.now();
    for (const entry of tables) {
      const name = asked("name");
      const columns = [...entry.heads.keys()].filter((column) => {
        const own = entry.heads[column].dataset.name;
        return own !== undefined && (name === "" || name === own);
      });
      const isAsked = !asked("table") || asked("table") === entry.table.id;
      const kept = new Set();
      for (const record of isAsked ? entry.records : []) {
        if (!matches(record, columns, name !== "")) continue;
        if (words && !(await hasText(record, words))) continue;
        kept.add(record);
        if (words && performance.now() - waited > 50) {
          status.textContent = `searching, ${(left + kept.size).toLocaleString("en")} found so far`;
          await new Promise((done) => setTimeout(done));
          waited = performance.now();
        }
        if (turn !== latest) return;
      }
      if (turn !== latest) return;
      found.set(entry, kept);
      left += kept.size;
    }
    for (const [entry, kept] of found) {
      const before = entry.kept;
      entry.kept = kept.size === entry.records.length ? null : kept;
      if (before || entry.kept) show(entry);
    }
    status.textContent = left === total ? of : left ? `${left.toLocaleString("en")} of ${of}` : `none of ${of}`;
  };

  // --- the address: `#?kind=worse&name=top_k` for a filter, `#r0-3` for a run ---------------------------------
  const saved = () => {
    const state = new URLSearchParams();
    for (const name of FIELDS) if (asked(name) && !(name === "side" && !asked("limit"))) state.set(name, asked(name));
    for (const { table, heads } of tables) {
      const column = heads.findIndex((head) => !["none", null].includes(head.getAttribute("aria-sort")));
      if (column >= 0) state.set(`sort-${table.id}`, `${column} ${heads[column].getAttribute("aria-sort")}`);
    }
    const text = state.toString();
    history.replaceState(null, "", text ? `#?${text}` : "#runs");
  };
  let saving;
  const save = () => {
    clearTimeout(saving);
    saving = setTimeout(saved, 120); // browsers limit how often an address may change
  };
  const restore = () => {
    const state = new URLSearchParams(location.hash.slice(2));
    for (const name of FIELDS) {
      const input = fields[name];
      if (input?.tagName === "SELECT") {
        input.selectedIndex = Math.max(0, [...input.options].findIndex(({ value }) => value === state.get(name)));
      } else if (input) {
        input.value = state.get(name) ?? "";
      }
    }
    for (const entry of tables) {
      const [column, order] = (state.get(`sort-${entry.table.id}`) ?? "").split(" ");
      if (entry.heads[column] && ["ascending", "descending"].includes(order)) sortBy(entry, Number(column), order);
    }
    document.getElementById("runs").scrollIntoView();
  };
  let waiting;
  controls.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { save(); filter(); }, 120);
  });
  field("reset").addEventListener("click", () => {
    for (const input of controls.querySelectorAll("input")) input.value = "";
    for (const select of controls.querySelectorAll("select")) select.selectedIndex = 0;
    save();
    filter();
  });

  // A link to a run opens the run, even if it is filtered out.
  const follow = () => {
    if (location.hash.startsWith("#?")) {
      restore();
      filter();
      return;
    }
    const [, number, place] = location.hash.match(/^#r(\d+)-(\d+)$/) ?? [];
    const entry = tables.find(({ table }) => table.id === `t${number}`);
    const record = entry?.records[place];
    if (!record) return;
    if (entry.kept && !entry.kept.has(record)) {
      entry.kept.add(record);
      show(entry);
    }
    for (const [group, records] of recordsOf) if (records.includes(record)) fill(group);
    record.row.querySelector("details").open = true;
    record.row.scrollIntoView();
  };
  addEventListener("hashchange", follow);

  controls.hidden = false;
  if (!location.hash.startsWith("#?")) filter();
  follow();
})();

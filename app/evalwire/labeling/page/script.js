"use strict";
// Shows one output at a time, and saves each answer before the next output. Texts of outputs become text nodes only.
(async () => {
  const element = (id) => document.getElementById(id);
  let key = location.hash.slice(1);
  let answers = []; // null for an output that was not answered, else {word, note}
  let title = {};
  let place = 0; // answers.length at the end
  let asks = false; // whether skipped outputs are asked
  let busy = false;
  let noteSaved = null; // promise of the last note that was saved by itself
  const done = []; // places of answers in this page, for undo
  const texts = new Map(); // place -> promise of the texts of an output

  // --- server --------------------------------------------------------------------------------------------------
  const request = async (path, body) => {
    const headers = { Authorization: `Bearer ${key}` };
    const options = body === undefined ? { headers } : {
      method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body),
    };
    let response;
    try {
      response = await fetch(path, { ...options, cache: "no-store", credentials: "omit", redirect: "error" });
    } catch {
      throw new Error("evalwire does not answer. It was probably stopped: run the command again, and continue on its page");
    }
    const found = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(found.error || `HTTP ${response.status}`);
    return found;
  };
  const fetched = (at) => {
    if (!texts.has(at)) {
      if (texts.size > 20) texts.delete(texts.keys().next().value);
      const promise = request(`/api/outputs/${at}`);
      promise.catch(() => texts.delete(at));
      texts.set(at, promise);
    }
    return texts.get(at);
  };
  const receive = (state) => {
    answers = state.answers;
    title = state.title;
    const labeled = answers.filter((each) => each?.word).length;
    element("bar").max = Math.max(1, answers.length);
    element("bar").value = labeled;
    element("count").textContent = `${labeled} of ${answers.length} labeled`;
    pending = state.pending;
  };
  let pending = 0;

  // --- what is shown -------------------------------------------------------------------------------------------
  const say = (text) => { element("status").textContent = text; };
  const warn = (text) => { element("alert").textContent = text; };
  const fill = (id, fields) => {
    element(id).replaceChildren(...fields.map(({ name, text }) => {
      const box = document.createElement("div");
      if (name) {
        const head = document.createElement("span");
        head.className = "name";
        head.dir = "auto";
        head.textContent = name;
        box.append(head);
      }
      const pre = document.createElement("pre");
      pre.dir = "auto";
      pre.textContent = text;
      box.append(pre);
      return box;
    }));
  };
  const word = (at) => answers[at]?.word ?? "";
  const labels = { pass: "Pass", fail: "Fail" };
  const skippedOnes = () => answers.filter((each) => each && !each.word).length;

  const show = async (at) => {
    const found = at < answers.length ? await fetched(at) : null;
    place = at;
    const isEnd = found === null;
    element("work").hidden = isEnd;
    element("end").hidden = !isEnd;
    element("answer").hidden = false;
    for (const id of ["labels", "next"]) element(id).hidden = isEnd;
    element("note").parentElement.hidden = isEnd;
    element("skipped").hidden = !isEnd || skippedOnes() === 0;
    element("back").setAttribute("aria-disabled", String(at === 0));
    element("undo").setAttribute("aria-disabled", String(undoPlace() < 0));
    if (isEnd) {
      const skips = skippedOnes();
      element("end-title").textContent = answers.length - skips ? "All outputs are answered" : "Nothing is labeled";
      element("end-text").textContent =
        `${answers.length - skips} labeled, ${skips} skipped. Press Done to end the command.`;
      document.title = `Done - ${title.head}`;
    } else {
      element("place").textContent = `Output ${at + 1} of ${answers.length}`;
      fill("input", found.input);
      fill("expected", found.expected);
      element("s-expected").hidden = found.expected.length === 0;
      fill("output", found.output);
      element("note").value = answers[at]?.note ?? "";
      for (const each of ["pass", "fail"]) element(each).setAttribute("aria-pressed", String(word(at) === each));
      document.title = `${at + 1}/${answers.length} - ${title.head}`;
      if (at + 1 < answers.length) fetched(at + 1).catch(() => {});
    }
    scrollTo(0, 0);
  };

  // --- places --------------------------------------------------------------------------------------------------
  const wanted = (at) => (asks ? !answers[at]?.word : answers[at] === null);
  const nextPlace = (from) => {
    for (let at = from; at < answers.length; at++) if (wanted(at)) return at;
    if (!asks) for (let at = 0; at < from; at++) if (wanted(at)) return at;
    return answers.length;
  };
  const undoPlace = () => {
    if (done.length) return done[done.length - 1];
    for (let at = Math.min(place, answers.length) - 1; at >= 0; at--) if (answers[at]) return at;
    return -1;
  };
  const unsent = () => (pending ? ` ${pending} not yet in Phoenix.` : "");

  // --- actions -------------------------------------------------------------------------------------------------
  const alone = async (action) => { // one action at a time; a failed action changes nothing
    if (busy) return;
    busy = true;
    try {
      await noteSaved;
      await action();
      warn("");
    } catch (error) {
      warn(error.message.replace(/\.?$/, "."));
    } finally {
      busy = false;
    }
  };
  const save = async (at, chosen, note) => {
    try {
      receive(await request("/api/answers", { place: at, word: chosen, note }));
    } catch (error) {
      throw new Error(`The answer is not saved: ${error.message}`);
    }
  };
  const answer = (chosen) => alone(async () => {
    if (place >= answers.length) return;
    const at = place;
    await save(at, chosen, element("note").value.trim());
    done.push(at);
    await show(nextPlace(at + 1));
    const where = place < answers.length ? `Output ${place + 1} of ${answers.length}.` : "End of the outputs.";
    say(`Saved output ${at + 1}: ${labels[chosen] ?? "skipped"}. ${where}${unsent()}`);
  });
  const undo = () => alone(async () => {
    const at = undoPlace();
    if (at < 0) return;
    await save(at, "", answers[at]?.note ?? "");
    done.pop();
    await show(at);
    say(`Took back the answer of output ${at + 1}.${unsent()}`);
  });
  const go = (at) => alone(async () => {
    if (at < 0 || at > answers.length) return;
    await keepNote();
    await show(at);
    say(place < answers.length ? `Output ${place + 1} of ${answers.length}. ${labels[word(at)] ?? "No label"}.` : "");
  });
  const keepNote = async () => { // of an output that has an answer
    const note = element("note").value.trim();
    const before = answers[place];
    if (place >= answers.length || !before || before.note === note) return;
    if (before.word && !labels[before.word]) return; // a score, which this page does not write
    await save(place, before.word, note);
    say(`Saved the note of output ${place + 1}.${unsent()}`);
  };
  const end = () => alone(async () => {
    await keepNote();
    await request("/api/done", {});
    element("answer").hidden = true;
    element("work").hidden = true;
    element("end").hidden = false;
    element("end-title").textContent = "Ended";
    element("end-text").textContent = "The labels are saved. The terminal shows the file. You can close this page.";
    element("end-title").focus();
  });
  const actions = {
    pass: () => answer("pass"),
    fail: () => answer("fail"),
    skip: () => answer(""),
    undo,
    back: () => go(place - 1),
    next: () => go(place + 1),
    skipped: () => alone(async () => {
      asks = true;
      await show(nextPlace(0));
      say("Showing the outputs without a label.");
    }),
    done: end,
  };
  for (const [id, action] of Object.entries(actions)) element(id).addEventListener("click", action);

  const KEYS = {
    1: "pass", p: "pass", 0: "fail", f: "fail", s: "skip", u: "undo", ArrowLeft: "back", ArrowRight: "next",
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const note = element("note");
    if (event.target === note) {
      if (event.key === "Escape" || (event.key === "Enter" && !event.shiftKey)) {
        event.preventDefault();
        note.blur();
      }
      return;
    }
    if (!element("keys").checked || event.repeat || element("answer").hidden) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (name === "n" && place < answers.length) {
      event.preventDefault();
      note.focus();
    } else if (Object.hasOwn(KEYS, name)) {
      event.preventDefault();
      actions[KEYS[name]]();
    }
  });
  element("note").addEventListener("blur", () => {
    if (!busy) noteSaved = keepNote().catch((error) => warn(`${error.message}.`));
  });
  setInterval(async () => { // the number of labels that Phoenix does not have
    if (!pending || busy) return;
    const state = await request("/api/state").catch(() => null);
    if (!state || busy) return;
    receive(state);
    if (!pending) say("All labels are in Phoenix.");
  }, 3000);

  addEventListener("hashchange", () => location.reload()); // another start of the command at the same port
  // --- start ---------------------------------------------------------------------------------------------------
  await alone(async () => {
    if (!key) throw new Error("The address has no key. Open the address in the terminal");
    key = (await request("/api/key", { code: key })).key;
    history.replaceState(null, "", `#${key}`);
    receive(await request("/api/state"));
    element("title").textContent = title.head;
    element("about").textContent = title.about;
    await show(nextPlace(0));
    if (pending) say(unsent().trim());
  });
  document.body.dataset.ready = "yes";
})();
